"""The names of shrinksweep that most users need, in one import.

>>> import shrinksweep as ss
>>> ss.Sweep(name="example", sweep={"space.splitting": [1, 2]}).budget
2

Each name is imported on first use from one of the four packages ``orchestrator``, ``trials``, ``search_space`` and
``results``. These are common names: if Python finds another module of such a name first, the import fails and names its
file.
"""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

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
    """Base class of the errors of shrinksweep. The message is one line: the rule, and the value that breaks it."""


class ForeignModuleError(ShrinksweepError, ImportError):
    """Another module has the name of one of our packages, and Python finds it first."""


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    refuse_foreign_modules()
    value = globals()[name] = getattr(import_module(_HOMES[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def refuse_foreign_modules() -> None:
    """Check that Python finds our own four packages.

    Raises:
        ForeignModuleError: it finds another module first; the message names its file.
    """
    own = Path(__file__).resolve().parent
    for name in _PACKAGES:
        location = _location(name)
        if location is None or location.resolve().parent != own / name:
            raise ForeignModuleError(
                f"the package `{name}` must be that of shrinksweep, but Python finds "
                f"{location or 'a module without a file'} first: rename it, or take its folder out of PYTHONPATH"
            )


def _location(name: str) -> Path | None:
    """Return the file of a module, imported or not, or the folder of a package without ``__init__.py``."""
    module = sys.modules.get(name)
    spec = find_spec(name) if module is None else getattr(module, "__spec__", None)
    if spec is None:  # not found, or not made by an import
        file = getattr(module, "__file__", None)
        return None if file is None else Path(file)
    if spec.origin is not None:
        return Path(spec.origin)
    return next(map(Path, spec.submodule_search_locations or ()), None)


def main() -> None:
    """Run the command line."""
    try:
        refuse_foreign_modules()
    except ForeignModuleError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    from orchestrator.cli import main as run

    run()


if __name__ == "__main__":
    main()
