"""A sweep from its file to its front: plan, searchers, gangs, launch = resume, command line.

Names are handed on when they are first asked for: ``shrinksweep --help`` loads nothing, and checking a sweep
loads neither ray nor torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from orchestrator.errors import LaunchError, OrchestratorError, SweepError
    from orchestrator.launch import launch
    from orchestrator.sweep import Sweep

__all__ = ["LaunchError", "OrchestratorError", "Sweep", "SweepError", "launch"]

_HOMES = {"LaunchError": "errors", "OrchestratorError": "errors", "SweepError": "errors", "Sweep": "sweep"}
_FUNCTIONS = {"launch"}  # of modules with the same name


def __getattr__(name: str) -> Any:
    if name in _FUNCTIONS or name in _HOMES:
        module = importlib.import_module(f"orchestrator.{_HOMES.get(name, name)}")
        value = getattr(module, name)
        globals()[name] = value  # the import has put the module ``launch`` here
        return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
