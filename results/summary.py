"""A run as a notebook shows it: what state it is in, and its front as a short table."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from results.errors import ResultsError
from results.schema import column_of_path

if TYPE_CHECKING:
    import pandas as pd

    from results.questions import RunQuestions

ROWS = 8
"""The most points that are shown."""

_RUNG = ("threshold", "weight_bits", "feature_map_bits")


def summary_html(run: RunQuestions) -> str:
    """Return a run as HTML. A run whose files cannot be read is shown by its location alone."""
    where = ", ".join(directory.uri for directory in run.directories)
    parts = [f"<p><code>{escape(where)}</code></p>"]
    try:
        parts += _contents(run)
    except ResultsError as error:
        parts.append(f"<p>{escape(str(error))}</p>")
    return "\n".join(parts)


def _contents(run: RunQuestions) -> list[str]:
    states = run.trials()["state"].astype(str).value_counts()
    counted = ", ".join(f"{count} {state}" for state, count in states.items()) or "no trials yet"
    front = run.front()
    line = f"{counted}; {len(run.points(['point']))} points, {len(front)} of them on the front"
    parts = [f"<p>trials: {escape(line)}</p>"]
    if len(front):
        shown = front[_columns(run, front)].head(ROWS)
        parts.append(shown.to_html(index=False, escape=True, border=0, float_format="{:.4g}".format))
        if len(front) > ROWS:
            parts.append(f"<p>... and {len(front) - ROWS} more: <code>run.front()</code></p>")
    return parts


def _columns(run: RunQuestions, front: pd.DataFrame) -> list[str]:
    """Return the columns that tell the points of a front apart, and the objectives."""
    told = [column_of_path(path) for path in run.swept()]
    differing = [name for name in [*told, *_RUNG] if name in front.columns and front[name].nunique() > 1]
    runs = ["run"] if "run" in front.columns else []
    return list(dict.fromkeys([*runs, "point", *differing, *run.objectives()]))
