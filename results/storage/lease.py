"""The lease of a run: which launch may write to it, and where that launch runs.

The file stays when the launch ends, and then says so: the tokens of a run never start again.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Annotated

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, FiniteFloat, ValidationError

from results.errors import BrokenFileError, printable
from results.storage.checked_files import CheckedFiles

PATH = "lease.json"

MAX_BYTES = 100_000
"""The largest lease."""

MAX_LASTS_S = 3600.0
"""A lease may last for an hour: whoever finds one of a process that died waits for that long."""


class Lease(BaseModel):
    """The right of one launch to write to a run directory, for as long as it keeps renewing the lease."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    nonce: str
    """Random text that identifies the launch."""
    token: Annotated[int, Field(ge=0, lt=2**60)] = 0
    """Grows with every lease of the run; 0 in a lease that was stored without one."""
    released: bool = False
    """Whether the launch has ended, and given the lease back."""
    host: str
    """Name of the host that the launch runs on."""
    machine: str
    """Scope of the process id: this boot of this host, this container."""
    pid: Annotated[int, Field(ge=0, lt=2**31)]
    """Process id of the launch."""
    process_started: FiniteFloat
    """Start of that process, in seconds since 1970: process ids are reused."""
    since: AwareDatetime
    """Start of the launch."""
    renewed: AwareDatetime
    """Time of the last renewal, by the clock of the host."""
    lasts_s: Annotated[float, Field(gt=0, le=MAX_LASTS_S)]
    """The lease expires this long after its last renewal."""

    def to_json(self) -> bytes:
        """Return the lease as JSON text."""
        return json.dumps(self.model_dump(mode="json"), indent=1).encode() + b"\n"

    @classmethod
    def from_json(cls, text: bytes) -> Lease:
        """Return the lease of a JSON text.

        Raises:
            BrokenFileError: the text is not a lease.
        """
        try:
            return cls.model_validate_json(text)
        except ValidationError as error:
            raise BrokenFileError(f"not a lease: {error.errors()[0]['msg']}") from error

    def __str__(self) -> str:
        return printable(f"process {self.pid} on {self.host}, since {self.since:%Y-%m-%d %H:%M:%S %Z}")


@dataclass(frozen=True)
class LeaseFile:
    """``lease.json``: the lease of the launch that writes to the run, or that was the last to do so."""

    files: CheckedFiles

    def write(self, lease: Lease) -> None:
        """Store a lease."""
        self.files.replace(PATH, lease.to_json())

    def read(self) -> Lease | None:
        """Return the stored lease; None if there is none, or a broken one."""
        return self.files.read(PATH, lambda: Lease.from_json(self.files.storage.read(PATH, limit=MAX_BYTES)))
