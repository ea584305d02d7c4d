"""Files of kilobytes that unfold to gigabytes are set aside by name, and the rest of the run lives. Here: megabytes."""

from __future__ import annotations

from collections.abc import Callable

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from results import RunDirectory
from results.schema import POINTS
from results.storage.parquet_files import unfolding
from results.storage.parquet_files.rows import table_from_rows
from results.storage.parquet_files.schema_cast import ColumnSelection, labelled_in_order
from tests.results.rows import key_of, point_rows

LIMIT = 1_000_000
POOL = pa.proxy_memory_pool(pa.default_memory_pool())
"""Counts what is allocated in it. It outlives the arrays that it holds."""

BAD, GOOD = key_of(0), key_of(1)


@pytest.fixture(autouse=True)
def a_small_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unfolding, "ALWAYS_BYTES", LIMIT)
    monkeypatch.setattr(unfolding, "FACTOR", 1)


def rows_of(count: int, **columns: Callable[[int], object]) -> pa.Table:
    """Return ``count`` equal points, but for some columns: functions of the number of the point."""
    [row] = point_rows(0, rungs=1)
    rows = [{**row, **{name: value(number) for name, value in columns.items()}} for number in range(count)]
    return table_from_rows(POINTS, rows)


def tap(name: str) -> list[dict[str, object]]:
    return [{**dict(point_rows(0, rungs=1)[0]["taps"][0]), "tap": name}]


BOMBS: dict[str, Callable[[], pa.Table]] = {
    "compressed zeros": lambda: rows_of(1, point=lambda number: "0" * 2 * LIMIT),
    "many equal rows": lambda: rows_of(1).take([0] * 4000),
    "a long text that many rows refer to": lambda: rows_of(50, point=lambda number: "x" * 50_000),
    "a long text that many items of lists refer to": lambda: rows_of(
        50, taps=lambda number: tap("x" * 50_000)
    ),
}


def write(directory: RunDirectory, path: str, table: pa.Table) -> None:
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd", use_dictionary=True)
    assert sink.tell() < LIMIT / 4
    directory.storage.write(path, sink.getvalue().to_pybytes())


@pytest.mark.parametrize("bomb", BOMBS)
def test_points_that_unfold_without_end_are_set_aside_by_name(local: RunDirectory, bomb: str) -> None:
    local.write_points(GOOD, point_rows(1))
    write(local, f"points/{BAD}.parquet", BOMBS[bomb]())
    assert set(local.read_points()["trial_key"].to_pylist()) == {GOOD}
    [problem] = local.quarantine_broken()
    assert problem.path == f"points/{BAD}.parquet"
    assert f"must unfold to at most {LIMIT:,}, but unfolds to " in problem.reason
    assert local.finished_keys() == {GOOD}


@pytest.mark.parametrize("bomb", BOMBS)
def test_a_compacted_file_that_unfolds_without_end_is_rebuilt(local: RunDirectory, bomb: str) -> None:
    local.write_points(GOOD, point_rows(1))
    write(local, "points.parquet", BOMBS[bomb]())
    assert set(local.read_points()["trial_key"].to_pylist()) == {GOOD}
    local.compact()
    assert local.problems() == []
    assert set(local.read_points()["trial_key"].to_pylist()) == {GOOD}


def test_texts_that_many_rows_refer_to_are_read_if_they_are_short(local: RunDirectory) -> None:
    table = rows_of(1000, point=lambda number: f"{number % 30:0300}", taps=lambda number: tap("x" * 300))
    write(
        local,
        f"points/{BAD}.parquet",
        table.select(["point", "trial_key", "trial_index", "rung", "taps"]),
    )
    read = local.read_points(columns=["point", "taps"])
    assert read["point"].to_pylist() == [f"{number % 30:0300}" for number in range(1000)]


def test_a_bomb_of_several_row_groups_is_measured_group_by_group(local: RunDirectory) -> None:
    local.write_points(GOOD, point_rows(1))
    sink, table = pa.BufferOutputStream(), BOMBS["a long text that many items of lists refer to"]()
    pq.write_table(table, sink, compression="zstd", row_group_size=10)
    local.storage.write(f"points/{BAD}.parquet", sink.getvalue().to_pybytes())
    assert local.read_points().num_rows == 2
    assert "must unfold to at most" in local.problems()[0].reason


def test_a_trial_file_that_is_too_large_is_not_read_at_all(
    local: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    local.write_points(GOOD, point_rows(1))
    monkeypatch.setattr("results.storage.parquet_files.parquet.SMALL_BYTES", 100)
    assert local.read_points().num_rows == 0
    assert local.problems()[0].reason == "it must have at most 100 bytes, but has more"


def test_labels_are_put_in_order_without_unfolding_them() -> None:
    text = pa.DictionaryArray.from_arrays(
        pa.array([1, 0, None, 1] * 5_000, pa.int32()), ["a" * 1000, "b" * 1000]
    )
    table = pa.table({"config": pa.chunked_array([text, text])})
    before = pa.default_memory_pool()
    pa.set_memory_pool(POOL)
    try:
        ordered = labelled_in_order(table, ColumnSelection(POINTS, ["config"]))
    finally:
        pa.set_memory_pool(before)
    assert POOL.max_memory() < 5_000_000  # unfolded: 30 MB
    assert ordered["config"].to_pylist() == table["config"].to_pylist()
    [dictionary] = {tuple(chunk.dictionary.to_pylist()) for chunk in ordered["config"].chunks}
    assert dictionary == ("b" * 1000, "a" * 1000)
