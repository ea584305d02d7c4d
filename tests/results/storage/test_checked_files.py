"""Files that an object store replaces while they are read."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import pyarrow.fs as pafs
import pytest
from typing_extensions import override

from results import LedgerEntry, RunDirectory
from results.storage.backends.remote_storage import RemoteStorage
from tests.results.rows import epoch_rows, key_of

ENTRY = LedgerEntry(index=0, key=key_of(0), seed=0, config={})


@dataclass(frozen=True)
class Torn(RemoteStorage):
    """The first ``torn`` reads of a file lack its end: it grew after the store was asked for its size."""

    torn: int = 1
    read_before: list[str] = field(default_factory=list)

    @override
    def read(self, path: str, *, limit: int | None = None) -> bytes:
        content = super().read(path, limit=limit)
        self.read_before.append(path)
        return content[: len(content) if self.read_before.count(path) > self.torn else -9]


@pytest.mark.parametrize(("torn", "whole"), [(1, True), (2, True), (3, False)])
def test_a_file_that_grows_while_it_is_read_is_read_again(tmp_path: Path, torn: int, whole: bool) -> None:
    directory = RunDirectory(tmp_path, create=True)
    directory.write_entry(ENTRY)
    directory.write_progress(key_of(0), epoch_rows(0))
    reader = RunDirectory(Torn(pafs.LocalFileSystem(), str(tmp_path), "torn", torn=torn))
    assert (reader.read_ledger() == [ENTRY]) is whole
    assert (reader.read_progress(key_of(0)).num_rows > 0) is whole
    assert bool(reader.problems()) is not whole
