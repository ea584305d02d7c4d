"""``points.parquet``: one copy of many trials' files, which reads much faster than the files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import pyarrow as pa

from results.storage.backends.storage import FileVersion
from results.storage.checked_files import CheckedFiles
from results.storage.parquet_files import parquet
from results.storage.parquet_files.schema_cast import ColumnSelection

Manifests = dict[FileVersion, dict[str, FileVersion]]
"""{version of the compacted file: its manifest}."""


@dataclass
class CompactedFile:
    """A compacted table. Its manifest holds the version of every trial's file that was copied."""

    files: CheckedFiles
    path: str
    manifests: Manifests = field(default_factory=dict, repr=False)
    """The last manifest that was read: it is long, and every trial that starts asks for it."""

    def manifest(self) -> dict[str, FileVersion]:
        """Return {trial key: version of its file when it was copied}; empty without a readable compacted file."""
        storage = self.files.storage
        version = next((file.version for file in storage.list("") if file.name == self.path), None)
        if version is None:
            return {}
        manifest = self.manifests.get(version)
        if manifest is None:
            manifest = self.files.read(self.path, lambda: parquet.read_manifest(storage, self.path))
            if manifest is None:
                return {}
            self.manifests.clear()
            self.manifests[version] = manifest
        return manifest

    def read(self, selection: ColumnSelection) -> pa.Table | None:
        """Return the selected columns of all rows; None without a readable compacted file."""
        return self.files.read(
            self.path, lambda: parquet.read_large(self.files.storage, self.path, selection)
        )

    def write(self, table: pa.Table, manifest: Mapping[str, FileVersion]) -> None:
        """Replace the compacted file."""
        self.files.replace(self.path, parquet.large_file(table.unify_dictionaries(), manifest))
