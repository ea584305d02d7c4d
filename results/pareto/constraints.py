"""Constraints on the points of a sweep: ``macs <= 3e8``. Points that break one are on no front of the sweep."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from results.errors import ResultsError
from results.pareto.objectives import numbers

_FORM = re.compile(r"\s*(\w+)\s*(<=|>=)\s*([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*")


@dataclass(frozen=True)
class Constraint:
    """A bound on one column of the points."""

    column: str
    at_most: bool
    bound: float

    @classmethod
    def parse(cls, text: str) -> Constraint:
        """Read ``COLUMN <= NUMBER`` or ``COLUMN >= NUMBER``. Error: ``ResultsError``.

        >>> Constraint.parse("macs <= 3e8")
        Constraint(column='macs', at_most=True, bound=300000000.0)
        """
        found = _FORM.fullmatch(text) if isinstance(text, str) else None
        if found is None:
            raise ResultsError(f"a constraint must be COLUMN <= NUMBER or COLUMN >= NUMBER, but got {text!r}")
        return cls(found[1], found[2] == "<=", float(found[3]))

    def violation(self, value: float | None) -> float:
        """Return how far a value is beyond the bound; 0 or less: it keeps it. What is not measured breaks it.

        >>> Constraint.parse("macs >= 900").violation(850)
        50.0
        """
        if value is None or math.isnan(value):
            return math.inf
        return value - self.bound if self.at_most else self.bound - value

    def __str__(self) -> str:
        return f"{self.column} {'<=' if self.at_most else '>='} {self.bound:g}"


def parse_all(texts: Iterable[str]) -> tuple[Constraint, ...]:
    """Read several constraints. Error: ``ResultsError``."""
    return tuple(Constraint.parse(text) for text in texts)


def feasible(frame: pd.DataFrame, constraints: Sequence[Constraint]) -> NDArray[np.bool_]:
    """Return which rows keep every constraint, [n]; what is null keeps none."""
    kept = np.ones(len(frame), dtype=bool)
    for one in constraints:
        values = numbers(frame[one.column])
        kept &= values <= one.bound if one.at_most else values >= one.bound
    return kept
