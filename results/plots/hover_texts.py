"""What is shown over a point that is pointed at: its name, its values, and the command that exports it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from results.plots.style import is_share, name_of, safe

PARAMETERS = ("splitting", "regularization", "threshold", "weight_bits", "feature_map_bits", "codec")
"""What the hover text tells of a point."""


def axis_values(x: str, y: str) -> str:
    """Return the lines of a hover text that give the values on both axes."""
    return "<br>".join(f"{name_of(name)} %{{{axis}:{_form(name)}}}" for axis, name in (("y", y), ("x", x)))


def hover_text(x: str, y: str, command: str) -> str:
    """Return the text shown over a point; its custom data are those of ``hover_data``."""
    exported = safe(command).replace("{point}", "%{customdata[0]}")
    return (
        f"<b>%{{customdata[0]}}</b><br>{axis_values(x, y)}<br>"
        "s %{customdata[1]}, λ %{customdata[2]}, τ %{customdata[3]}<br>"
        "weights %{customdata[4]} bits, feature maps %{customdata[5]} bits, %{customdata[6]}<br>"
        f"{exported}<extra></extra>"
    )


def hover_data(rows: pd.DataFrame) -> NDArray[np.object_]:
    """Return what the hover text shows of each row, [n, 7]: its label; parameters, precision and codec."""
    columns = ("label", *PARAMETERS)
    custom = np.empty((len(rows), len(columns)), dtype=object)
    for place, name in enumerate(columns):
        custom[:, place] = [_brief(value) for value in rows[name].tolist()]
    return custom


def _brief(value: Any) -> Any:
    """Return a value as a hover text shows it: a float with three digits, text that is safe."""
    if isinstance(value, float):
        return float(f"{value:.3g}")
    return value if isinstance(value, int) else safe(value)


def _form(column: str) -> str:
    return ".2%" if is_share(column) else ".4~s"
