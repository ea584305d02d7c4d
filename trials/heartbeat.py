"""Signs of life of the trial in this process: it counts its steps, so that one that stands still can be told."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")


@dataclass
class Heart:
    """Counts the steps of this process."""

    beats: int = 0

    def beat(self) -> None:
        """Count a step: something that never takes minutes."""
        self.beats += 1


HEART = Heart()


def beating(steps: Iterable[T]) -> Iterator[T]:
    """Yield the items of ``steps``, and count each."""
    for step in steps:
        HEART.beat()
        yield step
