"""What a sweep leaves behind, and how to read it: files, tables, fronts. Imports neither torch nor ray."""

from results.errors import (
    BrokenFileError,
    NoRunError,
    NotStoredError,
    ResultsError,
    SchemaError,
    UnknownColumnError,
    WhereError,
)
from results.ledger import LedgerEntry
from results.run_directory import RunDirectory

__all__ = [
    "BrokenFileError",
    "LedgerEntry",
    "NoRunError",
    "NotStoredError",
    "ResultsError",
    "RunDirectory",
    "SchemaError",
    "UnknownColumnError",
    "WhereError",
]
