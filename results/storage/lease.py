"""Who writes to a run: the launch that holds its lease, and where to find it."""

from __future__ import annotations

import json
from datetime import datetime

from pydantic import BaseModel, ConfigDict, ValidationError

from results.errors import BrokenFileError


class Lease(BaseModel):
    """The right of one launch to write to a run directory, as long as it keeps renewing it."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    nonce: str
    """Drawn by the launch; tells it from any other."""
    host: str
    """Name of the host that the launch runs on."""
    machine: str
    """Where its process id has a meaning: this boot of this host, this container."""
    pid: int
    """Process id of the launch there."""
    process_started: float
    """When that process started, in seconds since 1970: a process id can be given away again."""
    since: datetime
    """When the launch began."""
    renewed: datetime
    """When the lease was last renewed, by the clock of the host."""
    lasts_s: float
    """A lease that was not renewed for so long is nobody's."""

    def to_json(self) -> bytes:
        """Return the lease as JSON text."""
        return json.dumps(self.model_dump(mode="json"), indent=1).encode() + b"\n"

    @classmethod
    def from_json(cls, text: bytes) -> Lease:
        """Read a lease back. Error: ``BrokenFileError`` when the text is none."""
        try:
            return cls.model_validate_json(text)
        except ValidationError as error:
            raise BrokenFileError(f"this is no lease: {error.errors()[0]['msg']}") from error

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}, since {self.since:%Y-%m-%d %H:%M:%S %Z}"
