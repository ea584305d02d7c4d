"""``sweep.yaml`` of a run: the sweep as validated, and the versions of what runs it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import yaml

from results.errors import BrokenFileError, ResultsError, one_line
from results.record_types import JsonObject
from results.storage import plain_yaml
from results.storage.checked_files import CheckedFiles

PATH = "sweep.yaml"

MAX_BYTES = 10_000_000
"""The largest sweep file."""


@dataclass(frozen=True)
class SweepFile:
    """The sweep file of a run. Its last field is ``versions``: a file without it was truncated."""

    files: CheckedFiles

    def write(self, sweep: Mapping[str, object], versions: Mapping[str, object]) -> None:
        """Store the sweep and the versions.

        Raises:
            ResultsError: the sweep has a field ``versions``, or YAML cannot hold one of its values.
        """
        if "versions" in sweep:
            raise ResultsError(f"`versions` must not be a field of the sweep, but got {sweep['versions']!r}")
        try:
            text = yaml.safe_dump({**sweep, "versions": dict(versions)}, sort_keys=False, allow_unicode=True)
        except yaml.YAMLError as error:
            raise ResultsError(f"a sweep must be plain YAML, but got {one_line(error)}") from error
        self.files.replace(PATH, text.encode())

    def read(self) -> JsonObject | None:
        """Return the sweep with its ``versions``; None if there is none, or a broken one."""
        return self.files.read(PATH, self._load)

    def _load(self) -> JsonObject:
        try:
            content = plain_yaml.load(self.files.storage.read(PATH, limit=MAX_BYTES))
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise BrokenFileError(one_line(error)) from error
        if not isinstance(content, dict) or "versions" not in content:
            raise BrokenFileError("not a sweep with its versions, or a truncated one")
        return content
