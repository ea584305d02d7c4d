"""One entry of the ledger: a proposed trial, and what became of its attempts."""

from __future__ import annotations

import json
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt, field_validator

from results.errors import BrokenFileError, ResultsError
from results.states import LedgerState


class Failure(BaseModel):
    """Why one attempt at a trial failed: a record that goes from the worker to the ledger as it is."""

    model_config = ConfigDict(extra="ignore", frozen=True, use_attribute_docstrings=True)

    message: str
    """What went wrong, in one line."""
    kind: str = ""
    """Class of the error, such as ``TrialError``; empty where no error was raised, and in ledgers of version 0.1."""

    def __str__(self) -> str:
        return f"{self.kind}: {self.message}" if self.kind else self.message


class LedgerEntry(BaseModel):
    """A trial as it was proposed. Not whether it is finished: its points file alone decides that."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    index: NonNegativeInt
    """Place in the order of proposal, from 0."""
    key: str
    """The trial's key: names its files."""
    seed: NonNegativeInt
    """Seed of the trial."""
    config: dict[str, Any]
    """The whole trial configuration, as JSON holds it."""
    state: LedgerState = "proposed"
    """``proposed``: to be run until it is finished; ``failed``: given up; ``stopped``: by the scheduler;
    ``infeasible``: its architecture breaks a constraint of the sweep."""
    failures: list[Failure] = Field(default_factory=list)
    """Why each failed attempt failed, oldest first."""
    extra: dict[str, Any] = Field(default_factory=dict)
    """Whatever else the writer wants to remember; keys of a later version's file are found here, too."""

    @field_validator("failures", mode="before")
    @classmethod
    def _texts_of_version_0_1(cls, failures: Any) -> Any:
        if not isinstance(failures, list):
            return failures
        return [{"message": one} if isinstance(one, str) else one for one in failures]

    @property
    def reason(self) -> str | None:
        """Why the trial is infeasible, or why its last failed attempt failed; None where neither is the case."""
        told = self.extra.get("reason")
        if told is not None:
            return str(told)
        return str(self.failures[-1]) if self.failures else None

    def to_json(self) -> str:
        """Return the entry as JSON text. Error: ``ResultsError`` for a value that JSON cannot hold."""
        try:
            return json.dumps(self.model_dump(), indent=1, allow_nan=False) + "\n"
        except (TypeError, ValueError) as error:
            raise ResultsError(
                f"a ledger entry must be plain JSON, but trial {self.index}: {error}"
            ) from error

    @classmethod
    def from_json(cls, text: str | bytes) -> LedgerEntry:
        """Read an entry back. Error: ``BrokenFileError`` when the text is none."""
        try:
            fields = json.loads(text)
            if not isinstance(fields, dict):
                raise TypeError(f"a mapping was expected, but got {type(fields).__name__}")
            later = {name: fields.pop(name) for name in list(fields) if name not in cls.model_fields}
            fields["extra"] = {**fields.get("extra", {}), **later}
            return cls.model_validate(fields)
        except (TypeError, ValueError) as error:  # pydantic's and json's errors are ValueErrors
            raise BrokenFileError(f"this is no ledger entry: {_first_line(error)}") from error


def _first_line(error: Exception) -> str:
    return "; ".join(line.strip() for line in str(error).splitlines()[:3])
