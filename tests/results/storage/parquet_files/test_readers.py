"""Every Parquet reader can read the files of a run."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pandas as pd
import polars as pl
import pytest

from results import RunDirectory
from results.schema import POINTS
from tests.results.test_run import fill


@pytest.fixture
def folder(local: RunDirectory) -> Path:
    fill(local)
    local.compact()
    local.write_front(local.read_points())
    return Path(local.uri)


@pytest.mark.parametrize("name", ["points.parquet", "front.parquet", "points"])
def test_plain_pandas_reads_them(folder: Path, name: str) -> None:
    frame = pd.read_parquet(folder / name)
    assert len(frame) == 12
    assert list(frame.columns) == POINTS.names
    assert isinstance(frame["codec"].dtype, pd.CategoricalDtype) == name.endswith(".parquet")
    assert frame["macs"].sum() == 10_000


@pytest.mark.parametrize(
    "name", ["points.parquet", "front.parquet", "points/*.parquet", "progress/*.parquet"]
)
def test_polars_reads_them(folder: Path, name: str) -> None:
    frame = pl.read_parquet(folder / name)
    assert len(frame) == (30 if name.startswith("progress") else 12)
    if not name.startswith("progress"):
        assert frame["macs"].sum() == 10_000
        assert frame["taps"].explode().struct.field("tap").to_list()[:2] == ["stem", "cell0.out"]


@pytest.mark.parametrize("name", ["points.parquet", "front.parquet", "points/*.parquet"])
def test_duckdb_reads_them(folder: Path, name: str) -> None:
    query = f"select codec, sum(macs), count(finished_at) from '{folder / name}' where splitting <= 4 group by codec"
    assert duckdb.connect().execute(query).fetchall() == [("best", 10_000, 12)]
