"""Constraints on the points of a sweep, such as ``macs <= 3e8``. Infeasible points are on no front of the sweep."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from results.errors import ResultsError
from results.pareto.objectives import to_float64
from results.schema import column_of_path

_PATTERN = re.compile(r"\s*([\w.]*\w)\s*(<=|>=)\s*([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*")


@dataclass(frozen=True)
class Constraint:
    """An upper (``at_most``) or lower bound on one column of the points, in the column's unit."""

    column: str
    at_most: bool
    bound: float

    @classmethod
    def parse(cls, text: str) -> Constraint:
        """Parse ``COLUMN <= NUMBER`` or ``COLUMN >= NUMBER``.

        Raises:
            ResultsError: the text has another form.

        >>> Constraint.parse("macs <= 3e8")
        Constraint(column='macs', at_most=True, bound=300000000.0)
        """
        match = _PATTERN.fullmatch(text) if isinstance(text, str) else None
        if match is None:
            raise ResultsError(f"a constraint must be COLUMN <= NUMBER or COLUMN >= NUMBER, but got {text!r}")
        return cls(column_of_path(match[1]), match[2] == "<=", float(match[3]))

    def violation(self, value: float | None) -> float:
        """Return how far ``value`` exceeds the bound, in the column's unit; 0 or less if it is feasible.

        A value that was not measured (None or NaN) violates the constraint by infinity.

        >>> Constraint.parse("macs >= 900").violation(850)
        50.0
        """
        if value is None or math.isnan(value):
            return math.inf
        return value - self.bound if self.at_most else self.bound - value

    def __str__(self) -> str:
        return f"{self.column} {'<=' if self.at_most else '>='} {self.bound:g}"


def parse_all(texts: Iterable[str]) -> tuple[Constraint, ...]:
    """Parse several constraints.

    Raises:
        ResultsError: the first text that is no constraint.
    """
    return tuple(Constraint.parse(text) for text in texts)


def feasible(frame: pd.DataFrame, constraints: Sequence[Constraint]) -> NDArray[np.bool_]:
    """Return the mask of the rows that satisfy every constraint, [n]. Null satisfies none."""
    mask = np.ones(len(frame), dtype=bool)
    for constraint in constraints:
        values = to_float64(frame[constraint.column])
        mask &= values <= constraint.bound if constraint.at_most else values >= constraint.bound
    return mask
