"""The state of a launch, or of a run's files, in one line."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from results.durations import format_duration
from results.states import TrialState

LABELS: dict[TrialState, str] = {
    "running": "running",
    "proposed": "waiting",
    "stopped": "stopped early",
    "infeasible": "infeasible",
    "failed": "failed",
}
"""What the headline calls trials that are not finished, by state, in the order in which it shows them."""


@dataclass(frozen=True)
class Summary:
    """The counts that a headline shows."""

    name: str
    total: int
    """Trials that the sweep asks for."""
    counts: Mapping[TrialState, int]
    """Trials by state."""
    seconds_left: float | None
    """Estimated time left; None if unknown."""
    front: int | None
    """Points on the front; None if there is no front yet."""
    extended: int = 0
    """Trained trials whose ladder has grown: only the new rungs are evaluated."""
    launched: bool = True
    """Whether a launch works on the run. Without one, nothing runs, and no time is left."""


def headline(summary: Summary, *, show_idle: bool = False) -> str:
    """Return a summary in one line. States without trials are left out.

    Args:
        summary: the counts.
        show_idle: show the number of running trials even if it is 0.

    >>> headline(Summary("digits", 9, {"finished": 5, "running": 1, "proposed": 3}, 130.0, 4))
    'digits: 5 of 9 trials finished, 1 running, 3 waiting, about 2 min 10 s left, 4 points on the front'
    >>> headline(Summary("digits", 9, {"finished": 5, "running": 1}, 130.0, None, launched=False))
    'digits: 5 of 9 trials finished, 1 interrupted'
    """
    parts = [f"{summary.name}: {summary.counts.get('finished', 0)} of {summary.total} trials finished"]
    if summary.extended:
        parts.append(f"{summary.extended} trained and waiting for new rungs of the ladder")
    for state, label in LABELS.items():
        count = summary.counts.get(state, 0)
        if count or (show_idle and state == "running"):
            parts.append(f"{count} {label if summary.launched or state != 'running' else 'interrupted'}")
    if summary.seconds_left is not None and summary.launched:
        parts.append(f"about {format_duration(summary.seconds_left)} left")
    if summary.front is not None:
        parts.append(f"{summary.front} points on the front")
    return ", ".join(parts)
