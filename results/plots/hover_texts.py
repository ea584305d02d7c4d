"""Hover text of a point: its name, its values, and the command that exports its network."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from results.plots.style import escape, is_share, name_of, number_text

PARAMETERS = ("splitting", "regularization", "threshold", "weight_bits", "feature_map_bits", "codec")
"""Columns that the hover text shows besides the values on the axes."""


def axis_lines(x: str, y: str) -> str:
    """Return the lines of a hover template that show the values on both axes."""
    return "<br>".join(f"{name_of(name)} %{{{axis}:{_format(name)}}}" for axis, name in (("y", y), ("x", x)))


def hover_text(x: str, y: str, command: str, others: Sequence[str] = ()) -> str:
    """Return the hover template of a point. Its custom data come from ``hover_data``.

    ``command`` is the export command with ``{point}`` in place of the point's label; ``others`` are the objectives that
    are on no axis.
    """
    command = escape(command).replace("{point}", "%{customdata[0]}")
    first = 1 + len(PARAMETERS)
    lines = [f"{name_of(name)} %{{customdata[{first + i}]}}<br>" for i, name in enumerate(others)]
    return (
        f"<b>%{{customdata[0]}}</b><br>{axis_lines(x, y)}<br>"
        f"{''.join(lines)}"
        "s %{customdata[1]}, λ %{customdata[2]}, τ %{customdata[3]}<br>"
        "weights %{customdata[4]} bits, feature maps %{customdata[5]} bits, codec %{customdata[6]}<br>"
        f"{command}<extra></extra>"
    )


def hover_data(rows: pd.DataFrame, others: Sequence[str] = ()) -> NDArray[np.object_]:
    """Return the custom data of the hover template, [n, 7 + others]: label, ``PARAMETERS``, values of ``others``."""
    columns = ("label", *PARAMETERS)
    custom = np.empty((len(rows), len(columns) + len(others)), dtype=object)
    for index, name in enumerate(columns):
        custom[:, index] = [_short(value) for value in rows[name].tolist()]
    for index, name in enumerate(others, len(columns)):
        custom[:, index] = [escape(number_text(value, name)) for value in rows[name].tolist()]
    return custom


def _short(value: object) -> float | str:
    """Round a float to three digits; escape text."""
    if isinstance(value, float):
        return float(f"{value:.3g}")
    return value if isinstance(value, int) else escape(value)


def _format(column: str) -> str:
    return ".2%" if is_share(column) else ".4~s"
