"""What a section sees of the run, and how it writes its results: each at once.

A section that crashes or runs out of time loses only what it had not measured yet.
"""

from __future__ import annotations

import json
import math
import os
import time
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypedDict, TypeVar

import torch

from benchmarks.gpu.figures import NAMES
from benchmarks.harness import Cell, Table, TableJson

T = TypeVar("T")


class Check(TypedDict):
    """Something that should hold. ``holds`` is None if it could not be checked; ``detail`` says why, or how far off."""

    check: str
    holds: bool | None
    detail: str


class Found(TypedDict):
    """The results of a section, as they are written to its file."""

    figures: dict[str, float]
    reasons: dict[str, str]
    """Why a figure was not measured."""
    checks: list[Check]
    tables: list[TableJson]
    facts: dict[str, str]
    """Names of hardware and versions of software."""
    failures: list[str]
    """Parts of the section that ended with an error."""


def nothing_found() -> Found:
    """Return the results of a section that has not begun."""
    return {"figures": {}, "reasons": {}, "checks": [], "tables": [], "facts": {}, "failures": []}


@dataclass
class Day:
    """The run, seen from a section.

    Attributes:
        device: where everything is computed.
        tiny: sizes of a rehearsal. Its numbers mean nothing.
        deadline: ``time.monotonic()`` at which the section is killed.
        out: file of the results.
        earlier: figures of earlier sections.
        images: file of CIFAR-10 images (Parquet), if there is one.
    """

    device: torch.device
    tiny: bool
    deadline: float
    out: Path
    earlier: Mapping[str, float] = field(default_factory=dict)
    images: Path | None = None
    found: Found = field(default_factory=nothing_found)

    @property
    def on_gpu(self) -> bool:
        """Whether the device is a GPU."""
        return self.device.type == "cuda"

    def left(self) -> float:
        """Return the seconds that are left to the section."""
        return self.deadline - time.monotonic()

    def pick(self, full: T, tiny: T) -> T:
        """Return ``tiny`` in a rehearsal, else ``full``."""
        return tiny if self.tiny else full

    def figure(self, name: str, value: float) -> None:
        """Record a figure; one that is not finite is recorded as not measured."""
        if name not in NAMES:
            raise KeyError(f"{name} must be declared in benchmarks/gpu/figures.py")
        if math.isfinite(value):
            self.found["figures"][name] = value
        else:
            self.found["reasons"][name] = f"got {value}"
        self._write()

    def not_measured(self, name: str, why: str) -> None:
        """Record why a figure has no value."""
        if name not in NAMES:
            raise KeyError(f"{name} must be declared in benchmarks/gpu/figures.py")
        self.found["reasons"][name] = why
        self._write()

    def check(self, name: str, holds: bool | None, detail: str = "") -> None:
        """Record whether something holds; None: it could not be checked."""
        self.found["checks"].append({"check": name, "holds": holds, "detail": detail})
        self._write()

    def table(self, title: str, columns: Sequence[str], rows: Sequence[Sequence[Cell]]) -> None:
        """Record a table. A table of the same title is replaced, so that it can grow row by row."""
        made = Table(title, columns, [[_plain(cell) for cell in row] for row in rows]).to_json()
        self.found["tables"] = [t for t in self.found["tables"] if t["title"] != title] + [made]
        self._write()

    def fact(self, name: str, value: object) -> None:
        """Record a name or a version."""
        self.found["facts"][name] = str(value)
        self._write()

    @contextmanager
    def attempt(self, what: str, check: bool = False) -> Iterator[None]:
        """Record an exception in the ``with`` block, print it, and go on.

        Args:
            what: the part of the section.
            check: it is a check, which then does not hold.
        """
        try:
            yield
        except Exception as error:
            traceback.print_exc()
            line = f"{type(error).__name__}: {' '.join(str(error).split())}"[:300]
            self.found["failures"].append(f"{what}: {line}")
            if check:
                self.check(what, False, line)
            self._write()
        self.free()

    def free(self) -> None:
        """Return cached GPU memory, so that the next part starts with an empty card."""
        if self.on_gpu:
            torch.cuda.empty_cache()

    def _write(self) -> None:
        part = self.out.with_suffix(".part")
        part.write_text(json.dumps(self.found, allow_nan=False), encoding="utf-8")
        os.replace(part, self.out)


def _plain(cell: Cell) -> Cell:
    """Return the cell, or None for a number that is not finite."""
    return None if isinstance(cell, float) and not math.isfinite(cell) else cell
