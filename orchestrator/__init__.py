"""A sweep from its file to its front: plan, searchers, gangs, launch = resume, command line.

Names are handed on lazily, so that checking a sweep loads neither ray nor torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from orchestrator.errors import LaunchError, OrchestratorError, SweepError
from orchestrator.sweep import Sweep

if TYPE_CHECKING:
    from orchestrator.launch import launch

__all__ = ["LaunchError", "OrchestratorError", "Sweep", "SweepError", "launch"]


def __getattr__(name: str) -> Any:
    if name == "launch":
        return importlib.import_module("orchestrator.launch").launch
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
