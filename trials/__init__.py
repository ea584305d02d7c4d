"""One trial: data, bilevel search, training, ladder, cost model, checkpoint, data-parallel step.

Names are handed on when first asked for, so that ``trials.config`` can check a sweep file without torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from trials.config import TrialConfig as TrialConfig
    from trials.cost import Cost as Cost
    from trials.cost import count_cost as count_cost
    from trials.errors import TrialError as TrialError
    from trials.record import TrialContext as TrialContext
    from trials.trial import run_trial as run_trial

_HOMES = {
    "TrialConfig": "config",
    "Cost": "cost",
    "count_cost": "cost",
    "TrialError": "errors",
    "TrialContext": "record",
    "run_trial": "trial",
}
__all__ = sorted(_HOMES)  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f"trials.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'trials' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
