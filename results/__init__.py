"""What a sweep leaves behind, and how to read it: files, tables, fronts. Imports neither torch nor ray."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from results.choosing import best, knee
from results.comparing import compare
from results.effects import effect
from results.errors import (
    BrokenFileError,
    NoRunError,
    NotStoredError,
    ResultsError,
    SchemaError,
    UnknownColumnError,
    WhereError,
)
from results.front_file import refresh_front
from results.lease import Lease
from results.ledger import LedgerEntry
from results.opening import open_run, open_runs
from results.pareto import hypervolume, pareto_front, rank
from results.run import Run
from results.run_directory import RunDirectory
from results.surfaces import attainment

if TYPE_CHECKING:
    from results.plots import (
        genotype_svg,
        plot_attainment,
        plot_front,
        plot_fronts,
        plot_hypervolume,
        plot_learning_curves,
        plot_parallel,
        plot_sparsity,
    )
    from results.report import write_report

_PICTURES = (
    "genotype_svg plot_attainment plot_front plot_fronts plot_hypervolume plot_learning_curves plot_parallel"
)
_LATER = dict.fromkeys(f"{_PICTURES} plot_sparsity".split(), "plots") | {"write_report": "report"}
"""Names whose files load plotly: handed on when first asked for."""


def __getattr__(name: str) -> Any:
    if name in _LATER:
        return getattr(import_module(f"results.{_LATER[name]}"), name)
    raise AttributeError(f"module 'results' has no attribute {name!r}")


__all__ = [
    "BrokenFileError",
    "Lease",
    "LedgerEntry",
    "NoRunError",
    "NotStoredError",
    "ResultsError",
    "Run",
    "RunDirectory",
    "SchemaError",
    "UnknownColumnError",
    "WhereError",
    "attainment",
    "best",
    "compare",
    "effect",
    "genotype_svg",
    "hypervolume",
    "knee",
    "open_run",
    "open_runs",
    "pareto_front",
    "plot_attainment",
    "plot_front",
    "plot_fronts",
    "plot_hypervolume",
    "plot_learning_curves",
    "plot_parallel",
    "plot_sparsity",
    "rank",
    "refresh_front",
    "write_report",
]
