"""Archives of runs: the sweep, the points without their taps, and the epochs; a few hundred kilobytes a run.

An archive is a run directory that ``results.open_run`` and the commands of ``shrinksweep`` read. ``epochs.parquet``
holds the progress of all trials as one table, ``maps.parquet`` the taps of each network at tau = 0 by their kind.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from results import Run, open_run

LEFT_OUT = ("taps", "genotype", "host")
"""Columns of the progress that the study does not use."""


@dataclass(frozen=True, eq=False)
class Study:
    """One archived run of the study."""

    name: str
    run: Run
    epochs: pd.DataFrame
    maps: pd.DataFrame
    """Columns ``point``, ``kind`` (query, hidden, ...), ``elements`` and ``bytes`` an image, at tau = 0."""

    @property
    def points(self) -> pd.DataFrame:
        """The points, with the columns ``reading`` (output node and s) and ``effective_share``."""
        points = self.run.points()
        return points.assign(
            reading=[
                reading(node, s) for node, s in zip(points["output_node"], points["splitting"], strict=True)
            ],
            effective_share=points["effective_macs"] / points["macs"],
        )


def reading(output_node: str, splitting: int) -> str:
    """Return the name of an output node and s in the tables."""
    return output_node if output_node == "concat" else f"{output_node} s={splitting}"


def keep(source: Path, folder: Path) -> None:
    """Archive the run ``source`` in ``folder``.

    Only complete seeds are archived, so that every combination is there once a seed.
    """
    directory = open_run(source).directory
    directory.compact()
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source / "sweep.yaml", folder / "sweep.yaml")
    table = pq.read_table(source / "points.parquet")
    taps = table.schema.get_field_index("taps")
    none = pa.array([[]] * len(table), table.schema.field(taps).type)
    host = pa.DictionaryArray.from_arrays(pa.array([0] * len(table), pa.int32()), pa.array(["one host"]))
    table = table.set_column(taps, table.schema.field(taps), none)
    hosts = table.schema.get_field_index("host")
    table = table.set_column(hosts, table.schema.field(hosts), host)
    pq.write_table(table.filter(_complete(table)), folder / "points.parquet", compression="zstd")
    _maps(source, complete_seeds(table)).to_parquet(folder / "maps.parquet", compression="zstd")
    epochs = directory.read_progress()
    epochs = epochs.drop_columns([name for name in LEFT_OUT if name in epochs.column_names])
    pq.write_table(epochs.filter(_complete(epochs, table)), folder / "epochs.parquet", compression="zstd")


def _maps(source: Path, seeds: list[int]) -> pd.DataFrame:
    run = open_run(source)
    points = run.points(["point", "seed", "threshold"])
    chosen = points[points["seed"].isin(seeds) & (points["threshold"] == 0)]["point"]
    taps = run.taps()
    taps = taps[taps["point"].isin(chosen)]
    kind = taps["tap"].str.extract(r"([a-z]+)\d*$", expand=False).rename("kind")
    return taps.groupby([taps["point"], kind])[["elements", "bytes"]].sum().reset_index()


def name_of(source: Path) -> str:
    """Return the name of a run's sweep."""
    return str(open_run(source).sweep()["name"])


def read(folder: Path) -> Study:
    """Read the run that ``keep`` archived in ``folder``."""
    epochs, maps = (pd.read_parquet(folder / f"{name}.parquet") for name in ("epochs", "maps"))
    return Study(folder.name, open_run(folder), epochs, maps)


def complete_seeds(points: pa.Table) -> list[int]:
    """Return the seeds with the largest number of finished trials."""
    trials = points.select(["seed", "trial_key"]).group_by(["seed", "trial_key"]).aggregate([])
    counts = trials.to_pandas()["seed"].value_counts()
    return sorted(int(seed) for seed in counts.index[counts == counts.max()])


def _complete(table: pa.Table, points: pa.Table | None = None) -> pa.Array:
    seeds = complete_seeds(table if points is None else points)
    return pa.array([seed in seeds for seed in table["seed"].to_pylist()])
