"""The names of points: a whole name is the trial key, ``-`` and the rung; commands also accept shorter ones."""

from __future__ import annotations

from collections.abc import Sequence


def fitting(names: Sequence[str], name: str) -> list[int]:
    """Return the indices of the points that ``name`` fits: a whole name, or a prefix of the key with the rung.

    >>> fitting(["342695f80345bbe6-08", "342695f80345bbe6-09"], "3426-08")
    [0]
    """
    key, _, rung = name.partition("-")
    return [
        index for index, whole in enumerate(names) if whole.startswith(key) and whole.endswith(f"-{rung}")
    ]
