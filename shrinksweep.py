"""shrinksweep in one import: the names that most people need, from the four packages that hold them.

>>> import shrinksweep as ss
>>> ss.Sweep(name="example", sweep={"space.splitting": [1, 2]}).budget
2

``results``, ``trials``, ``orchestrator`` and ``search_space`` are everyday names: where another module of such a name
is in front of ours, every import from here says which file it is.
"""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from orchestrator import Sweep as Sweep
    from orchestrator.launch import launch as launch
    from results import Run as Run
    from results import hypervolume as hypervolume
    from results import open_run as open_run
    from results import open_runs as open_runs
    from results import pareto_front as pareto_front
    from search_space import Genotype as Genotype
    from search_space import Network as Network
    from search_space import SearchSpace as SearchSpace
    from search_space import Supernet as Supernet
    from search_space import taps as taps
    from trials import TrialConfig as TrialConfig
    from trials import count_cost as count_cost

__version__ = "0.1.0"

_PACKAGES = ("orchestrator", "trials", "search_space", "results")

_HOMES = {
    "Sweep": "orchestrator.sweep.sweep",
    "launch": "orchestrator.launch",
    "Run": "results",
    "hypervolume": "results",
    "open_run": "results",
    "open_runs": "results",
    "pareto_front": "results",
    "Genotype": "search_space",
    "Network": "search_space",
    "SearchSpace": "search_space",
    "Supernet": "search_space",
    "taps": "search_space",
    "TrialConfig": "trials",
    "count_cost": "trials",
}

__all__ = ["ShrinksweepError", "__version__", *_HOMES]


class ShrinksweepError(Exception):
    """Base of every error that shrinksweep raises on purpose: one line, the rule and the value received."""


class ForeignModuleError(ShrinksweepError, ImportError):
    """A module of somebody else's that has the name of one of our packages, and is found before it."""


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    refuse_foreign_modules()
    value = globals()[name] = getattr(import_module(_HOMES[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def refuse_foreign_modules() -> None:
    """Check that our four packages are the ones that Python finds.

    Raises:
        ForeignModuleError: it finds another module first; the message names its file.
    """
    own = Path(__file__).resolve().parent
    for name in _PACKAGES:
        module = sys.modules.get(name)
        spec = module.__spec__ if module is not None else find_spec(name)
        origin = spec.origin if spec is not None else None
        if origin is None or Path(origin).resolve().parent != own / name:
            raise ForeignModuleError(
                f"the package `{name}` must be that of shrinksweep, but Python finds {origin or 'none'} first: "
                "rename it, or take its folder out of PYTHONPATH"
            )


def main() -> None:
    """Run the command line."""
    try:
        refuse_foreign_modules()
    except ForeignModuleError as error:
        sys.exit(_refused(error))
    from orchestrator.cli import main as run

    run()


def _refused(error: ForeignModuleError) -> int:
    print(f"error: {error}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    main()
