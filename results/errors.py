"""What can be wrong with a run's files and with questions about them: one family of errors, one line each."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from shrinksweep import ShrinksweepError


class ResultsError(ShrinksweepError, ValueError):
    """Base of every error that this room raises for its user: one line, the rule and the value received."""


class SchemaError(ResultsError):
    """Rows that do not fit their table: an unknown, missing or wrongly typed column."""


class UnknownColumnError(ResultsError):
    """A question about a column that the table does not have."""


class WhereError(ResultsError):
    """A ``where`` that is no expression over the columns."""


class NoRunError(ResultsError):
    """A path at which there is no run."""


class NotStoredError(ResultsError):
    """Something that this run did not store, such as the network of a trial."""


class BrokenFileError(ResultsError):
    """A file of the run that cannot be read as what its name says it is."""


def one_line(error: object, limit: int = 2000) -> str:
    """Return the text of an error in one line of at most ``limit`` characters.

    >>> one_line(ValueError("no such\\n   thing"))
    'no such thing'
    """
    return " ".join(str(error).split())[:limit]


def nearest(name: str, known: Iterable[str]) -> str:
    """Return ``"; did you mean `x`?"`` for the known name closest to ``name``, or an empty string.

    >>> nearest("acuracy", ["accuracy", "macs"])
    '; did you mean `accuracy`?'
    >>> nearest("zzz", ["accuracy", "macs"])
    ''
    """
    known = list(known)
    folded = {candidate.casefold(): candidate for candidate in known}
    close = difflib.get_close_matches(name.casefold(), folded, n=1, cutoff=0.5)
    if not close:  # a part of the name often helps where the whole is too long: `memory` -> `memory_bytes`
        close = [candidate for candidate in folded if name and name.casefold() in candidate][:1]
    return f"; did you mean `{folded[close[0]]}`?" if close else ""


def unknown_column(name: str, known: Iterable[str]) -> UnknownColumnError:
    """Return the error for a column ``name`` that is not among ``known``, with the nearest one as a hint."""
    return UnknownColumnError(f"there is no column `{name}`{nearest(name, known)}")
