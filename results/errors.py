"""Errors of this package. Each message is one line: the rule and the value received."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from shrinksweep import ShrinksweepError


class ResultsError(ShrinksweepError, ValueError):
    """Base class of every error that this package raises on purpose."""


class SchemaError(ResultsError):
    """Rows do not fit the schema of their table: an unknown or missing column, or a value of another type."""


class UnknownColumnError(ResultsError):
    """The table has no column of this name."""


class WhereError(ResultsError):
    """A ``where`` text is not an expression over the columns."""


class NoRunError(ResultsError):
    """There is no run at a path."""


class NotStoredError(ResultsError):
    """The run did not store something, such as the network of a trial."""


class LostLeaseError(ResultsError):
    """A process may not change a run any more: another launch has taken it over, its own has ended, or it is gone."""


class BrokenFileError(ResultsError):
    """A file of the run does not hold what its name says."""


class StorageError(ResultsError, OSError):
    """Storage has failed for minutes: a full disk, a server that is gone."""


def printable(text: str) -> str:
    r"""Return text for a terminal: control characters, which could move its cursor or set its title, are escaped.

    >>> printable("loss\x1b[2J is nan")
    'loss\\x1b[2J is nan'
    """
    return "".join(c if c.isprintable() or c in "\n\t" else repr(c)[1:-1] for c in text)


def one_line(error: object, limit: int = 2000) -> str:
    r"""Return the text of an error as one line of at most ``limit`` characters; the middle of a longer one is left out.

    The end stays, because long errors end with their cause.

    >>> one_line(ValueError("no such\n   thing"))
    'no such thing'
    >>> one_line("a first line, much that follows, and the cause", limit=30)
    'a first line ... and the cause'
    """
    text = printable(" ".join(str(error).split()))
    if len(text) <= limit:
        return text
    kept = limit - len(" ... ")
    return f"{text[: kept // 2].rstrip()} ... {text[len(text) - (kept - kept // 2) :].lstrip()}"


def shown(value: object, limit: int = 200) -> str:
    """Return a value as a message shows it, on one line of about ``limit`` characters at most.

    >>> shown("x" * 300, 20)
    "'xxxxxxxx...xxxxxxx'"
    """
    try:
        text = repr(value)
    except (ValueError, RecursionError):  # an integer with thousands of digits, a list in itself
        return f"a huge {type(value).__name__}"
    half = limit // 2
    return text if len(text) <= limit else f"{text[: half - 1]}...{text[-half + 2 :]}"


def nearest(name: str, known: Iterable[str]) -> str:
    """Return ``"; did you mean `x`?"`` for the known name closest to ``name``, or an empty string.

    Names that begin with it come before those that contain it, and these before those of similar spelling.

    >>> nearest("acuracy", ["accuracy", "macs"]), nearest("acc", ["macs", "accuracy"])
    ('; did you mean `accuracy`?', '; did you mean `accuracy`?')
    >>> nearest("zzz", ["accuracy", "macs"])
    ''
    """
    folded, wanted = {candidate.casefold(): candidate for candidate in known}, name.casefold()
    close = [candidate for candidate in folded if len(wanted) > 1 and wanted in candidate]
    close.sort(key=lambda candidate: (not candidate.startswith(wanted), len(candidate)))
    close = close or difflib.get_close_matches(wanted, folded, n=1, cutoff=0.5)
    return f"; did you mean `{folded[close[0]]}`?" if close else ""


def unknown_column(name: str, known: Iterable[str]) -> UnknownColumnError:
    """Return the error for a column ``name`` that is not one of ``known``; its message suggests the nearest."""
    return UnknownColumnError(f"there is no column `{name}`{nearest(name, known)}")
