"""Type of the keyword arguments that name objectives."""

from __future__ import annotations

from typing import TypedDict

from results.pareto.objectives import Columns


class Goals(TypedDict):
    """Objectives, as ``pareto_front`` and its siblings take them."""

    maximize: Columns
    minimize: Columns
