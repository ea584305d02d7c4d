"""What a sweep leaves behind, and how to read it: files, tables, fronts. Imports neither torch nor ray."""

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
from results.ledger import LedgerEntry
from results.opening import open_run, open_runs
from results.pareto import hypervolume, pareto_front, rank
from results.run import Run
from results.run_directory import RunDirectory
from results.surfaces import attainment

__all__ = [
    "BrokenFileError",
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
    "hypervolume",
    "knee",
    "open_run",
    "open_runs",
    "pareto_front",
    "rank",
    "refresh_front",
]
