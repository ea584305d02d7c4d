"""Metadata of Parquet files that hold nonsense: the file is set aside or read without them, and the run lives."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from results import RunDirectory
from results.schema import POINTS, VERSION_KEY
from results.storage.backends.fence import Fence
from results.storage.parquet_files.parquet import MANIFEST_KEY, TOKEN_KEY
from results.storage.parquet_files.rows import table_from_rows
from tests.results.rows import key_of, point_rows

COMPACTED, OWN = "points.parquet", f"points/{key_of(0)}.parquet"

NONSENSE: dict[str, tuple[str, dict[bytes, bytes]]] = {
    "a deep manifest": (COMPACTED, {MANIFEST_KEY: b"[" * 200_000}),
    "a manifest of nulls": (COMPACTED, {MANIFEST_KEY: b'{"a": [null, null]}'}),
    "an infinite manifest": (COMPACTED, {MANIFEST_KEY: b'{"a": [Infinity, 1]}'}),
    "a manifest of a list": (COMPACTED, {MANIFEST_KEY: b"[1]"}),
    "a manifest of other folders": (COMPACTED, {MANIFEST_KEY: b'{"../../a": [1, 1]}'}),
    "a long token": (OWN, {TOKEN_KEY: b"9" * 5000}),
    "a long version": (OWN, {VERSION_KEY: b"9" * 5000}),
}


@pytest.mark.parametrize("name", NONSENSE)
def test_a_run_with_nonsense_in_its_metadata_is_read_and_goes_on(local: RunDirectory, name: str) -> None:
    path, metadata = NONSENSE[name]
    sink, table = pa.BufferOutputStream(), table_from_rows(POINTS, point_rows(0))
    pq.write_table(table.replace_schema_metadata({**table.schema.metadata, **metadata}), sink)
    local.write_points(key_of(1), point_rows(1))
    local.storage.write(path, sink.getvalue().to_pybytes())
    assert key_of(1) in set(local.read_points()["trial_key"].to_pylist())
    assert local.finished_keys() >= {key_of(1)}
    inside = local.open_fence(Fence(3, "abc"))
    inside.quarantine_broken()
    inside.write_points(key_of(0), point_rows(0))
    inside.compact()
    assert local.problems() == []
    assert local.finished_keys() == {key_of(0), key_of(1)}
    assert local.read_points().num_rows == 4
