"""The ledger: every proposed trial, and the outcome of its attempts; one JSON file a trial."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from results.errors import BrokenFileError, ResultsError, printable
from results.record_types import JsonObject
from results.states import LedgerState
from results.storage.backends.storage import map_concurrently
from results.storage.checked_files import CheckedFiles
from results.storage.memory import no_garbage
from results.storage.shared_blocks import SharedBlocks

FOLDER = "ledger"

KEY = r"[0-9A-Za-z][0-9A-Za-z_-]{0,127}"
"""The keys of trials: letters, digits, - and _."""

MAX_BYTES = 1_000_000
"""The largest entry."""

_NAME = re.compile(r"\d{6,}\.json")


class Failure(BaseModel):
    """Why one attempt at a trial failed. Fields written by a later version are kept."""

    model_config = ConfigDict(extra="allow", frozen=True, use_attribute_docstrings=True)

    message: str
    """What went wrong, in one line."""
    kind: str = ""
    """Class of the error, such as ``TrialError``. Empty if no error was raised, and in ledgers of version 0.1, whose
    messages begin with it."""

    def __str__(self) -> str:
        return printable(f"{self.kind}: {self.message}" if self.kind else self.message)


class LedgerEntry(BaseModel):
    """One proposed trial. Whether it is finished is not recorded here, see ``results.states.state_of``."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    index: Annotated[int, Field(ge=0, lt=2**31)]
    """Position in the order of proposal, from 0."""
    key: Annotated[str, Field(pattern=f"^{KEY}$")]
    """Key of the trial, which names its files."""
    seed: Annotated[int, Field(ge=0, lt=2**63)]
    """Seed of the trial."""
    config: JsonObject
    """The complete trial configuration."""
    state: LedgerState = "proposed"
    """``proposed``: to be run until it is finished; ``failed``: given up; ``stopped``: by the scheduler;
    ``infeasible``: its architecture violates a constraint of the sweep."""
    failures: list[Failure] = Field(default_factory=list)
    """The failed attempts, oldest first."""
    extra: JsonObject = Field(default_factory=dict)
    """Anything else that the writer records. Fields written by a later version are kept here, too."""

    @property
    def reason(self) -> str | None:
        """Why the trial is infeasible, or why its last failed attempt failed; None if neither is the case."""
        infeasible = self.extra.get("reason")
        if infeasible is not None:
            return printable(str(infeasible))
        return str(self.failures[-1]) if self.failures else None

    def to_json(self) -> str:
        """Return the entry as JSON text, with a line for each field and for each block of the configuration.

        Raises:
            ResultsError: JSON cannot hold one of the values.
        """
        fields = self.model_dump()
        try:
            config = _lines(_texts(fields["config"]), 2)
            return _lines(_texts({**fields, "config": None}) | {'"config"': config}, 1) + "\n"
        except (TypeError, ValueError) as error:
            raise ResultsError(
                f"a ledger entry must be plain JSON, but trial {self.index}: {error}"
            ) from error

    @classmethod
    def from_json(cls, text: str | bytes) -> LedgerEntry:
        """Return the entry of a JSON text.

        Raises:
            BrokenFileError: the text is not a ledger entry.
        """
        try:
            if len(text) > MAX_BYTES:
                raise ValueError(f"it must have at most {MAX_BYTES:,} bytes, but has {len(text):,}")
            fields = json.loads(text, parse_constant=_refuse_constant)
            if not isinstance(fields, dict):
                raise TypeError(f"a mapping was expected, but got {type(fields).__name__}")
            json.dumps(fields, ensure_ascii=False).encode()  # text that is no Unicode is an error here
            return cls._of_fields(fields)
        except (TypeError, ValueError, RecursionError) as error:  # those of pydantic and json are ValueErrors
            raise BrokenFileError(f"not a ledger entry: {_first_lines(error)}") from error

    @classmethod
    def sharing(cls, text: bytes, blocks: SharedBlocks) -> LedgerEntry:
        """Return what ``from_json`` returns, but let the entries that are read with ``blocks`` share their content.

        Raises:
            BrokenFileError: the text is not a ledger entry.
        """
        fields = blocks.parse(text) if len(text) <= MAX_BYTES else None
        if fields is not None:
            try:
                entry = cls._of_fields(fields)
            except (TypeError, ValueError):  # ``from_json`` says why
                return cls.from_json(text)
            object.__setattr__(entry, "__pydantic_fields_set__", _ALL_FIELDS)  # the largest part of an entry
            return entry
        return cls.from_json(text)

    @classmethod
    def _of_fields(cls, fields: JsonObject) -> LedgerEntry:
        unknown = fields.keys() - cls.model_fields.keys()
        if unknown:
            moved = {name: fields.pop(name) for name in list(fields) if name in unknown}
            fields["extra"] = {**fields.get("extra", {}), **moved}
        failures = fields.get("failures")
        if isinstance(failures, list) and failures:  # version 0.1 stored plain texts
            fields["failures"] = [{"message": item} if isinstance(item, str) else item for item in failures]
        return cls.model_validate(fields)


_ALL_FIELDS = set(LedgerEntry.model_fields)


@dataclass(frozen=True)
class Ledger:
    """The files of the ledger: ``ledger/<index>.json``, with at least six digits."""

    files: CheckedFiles

    def write(self, entry: LedgerEntry) -> None:
        """Store an entry; it replaces the one of the same index."""
        self.files.storage.write(f"{FOLDER}/{_name(entry.index)}", entry.to_json().encode())

    def read(self, index: int) -> LedgerEntry | None:
        """Return one entry; None if there is none, or a broken one."""
        return self._read(_name(index), SharedBlocks())

    def read_all(self) -> list[LedgerEntry]:
        """Return every readable entry, by index."""
        names, blocks = [file.name for file in self.files.storage.list(FOLDER)], SharedBlocks()
        with no_garbage():
            entries = map_concurrently(self.files.storage, lambda name: self._read(name, blocks), names)
        return sorted((entry for entry in entries if entry is not None), key=lambda entry: entry.index)

    def _read(self, name: str, blocks: SharedBlocks) -> LedgerEntry | None:
        path = f"{FOLDER}/{name}"

        def load() -> LedgerEntry:
            if not _NAME.fullmatch(name):
                raise BrokenFileError("not the name of a ledger entry")
            entry = LedgerEntry.sharing(self.files.storage.read(path, limit=MAX_BYTES), blocks)
            if name != _name(entry.index):
                raise BrokenFileError(f"it must hold the entry of its name, but holds index {entry.index}")
            return entry

        return self.files.read(path, load)


def _texts(content: JsonObject) -> dict[str, str]:
    return {_to_json(name): _to_json(value) for name, value in content.items()}


def _lines(members: Mapping[str, str], depth: int) -> str:
    """Return an object as JSON text with one line a member, at an indent of ``depth``."""
    start = "\n" + " " * depth
    return (
        "{"
        + ",".join(f"{start}{name}: {text}" for name, text in members.items())
        + (start[:-1] + "}" if members else "}")
    )


_to_json = json.JSONEncoder(allow_nan=False).encode


def _refuse_constant(name: str) -> object:
    raise ValueError(f"numbers must be finite, but got {name}")


def _name(index: int) -> str:
    return f"{index:06d}.json"


def _first_lines(error: Exception) -> str:
    return "; ".join(line.strip() for line in str(error).splitlines()[:3])
