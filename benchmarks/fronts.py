"""Reading a large run: a million points opened as a data frame, their front, and thousands of small files.

The points are those of 50,000 trials of 20 rungs, with configuration and genotype, in one compacted file. The front
(accuracy, macs, memory) is checked against the definition on a sample of the points.
"""

from __future__ import annotations

import json
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypedDict

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

import results
from benchmarks import harness
from benchmarks.harness import Figure, Measured
from results.schema import POINTS
from results.storage.parquet_files import parquet
from results.tables.where import where_mask


class Objectives(TypedDict):
    """The objectives of a front, as its functions take them."""

    maximize: list[str]
    minimize: list[str]


OBJECTIVES: Objectives = {"maximize": ["accuracy"], "minimize": ["macs", "memory_bytes"]}
RUNGS = 20
TAPS = 12


def measure(quick: bool) -> Measured:
    """Measure how fast a large run is read, and how fast its front is computed."""
    points, rounds = 1_000_000, 3 if quick else 7
    files = 300 if quick else 3_000
    with tempfile.TemporaryDirectory() as folder:
        large = _compacted_run(Path(folder) / "large", points)
        frame = large.points()
        _check_front(frame.sample(2_000, random_state=0))
        timings = harness.interleaved(
            {
                "open": large.points,
                "open_columns": lambda: large.points(["accuracy", "macs", "memory_bytes", "splitting"]),
                "front": lambda: results.pareto_front(frame, **OBJECTIVES),
                "where": lambda: where_mask(frame, "splitting in (2, 4) and codec == 'best'"),
            },
            rounds=rounds,
        )
        small = _run_of_small_files(Path(folder) / "small", files)
        running = _run_of_small_files(Path(folder) / "running", files, compacted=files * 5 // 6)
        runs = harness.interleaved({"small": small.points, "running": running.points}, rounds=rounds)
        small_s = runs.median("small")
    return Measured(
        [
            Figure("open_1M_s", timings.median("open"), "s", 2.0, "lower"),
            Figure("front_1M_s", timings.median("front"), "s", 1.0, "lower"),
            Figure("open_4_columns_1M_s", timings.median("open_columns"), "s", None, "lower"),
            Figure("where_1M_s", timings.median("where"), "s", None, "lower"),
            Figure("open_3000_files_s", None if quick else small_s, "s", 2.0, "lower"),
            Figure("open_3000_files_running_s", None if quick else runs.median("running"), "s", 1.0, "lower"),
            Figure("open_one_small_file_ms", 1e3 * small_s / files, "ms", None, "lower"),
        ],
        {"points": points, "rungs": RUNGS, "taps": TAPS, "files": files, "rounds": rounds},
    )


def _compacted_run(folder: Path, points: int) -> results.Run:
    directory = results.RunDirectory(folder, create=True)
    directory.write_sweep({"name": "benchmark", "sweep": {"space.splitting": [1, 2, 4]}}, {})
    trials = points // RUNGS
    table = _table(np.arange(trials))
    manifest = {f"{trial:016x}": (0, 0) for trial in range(trials)}
    (folder / "points.parquet").write_bytes(parquet.large_file(table, manifest))
    return results.open_run(folder)


def _run_of_small_files(folder: Path, files: int, compacted: int = 0) -> results.Run:
    """Return a run of ``files`` trials; the first ``compacted`` are compacted, as in a running launch."""
    (folder / "points").mkdir(parents=True)
    table = _table(np.arange(files))
    for trial in range(files):
        if trial and trial == compacted:
            results.RunDirectory(folder).compact()
        content = parquet.small_file(_compact_labels(table.slice(trial * RUNGS, RUNGS)))
        (folder / "points" / f"{trial:016x}.parquet").write_bytes(content)
    return results.open_run(folder)


def _compact_labels(table: pa.Table) -> pa.Table:
    """Return a slice whose dictionaries hold only its own values, as a trial writes them."""
    columns = [
        column.cast(column.type.value_type).dictionary_encode()
        if pa.types.is_dictionary(column.type)
        else column
        for column in table.combine_chunks().columns
    ]
    return pa.Table.from_arrays(columns, schema=table.schema)


def _table(trials: NDArray[np.int64]) -> pa.Table:
    """Return ``RUNGS`` points of each trial, with objectives that trade off against each other."""
    rng = np.random.default_rng(0)
    rows = len(trials) * RUNGS
    trial = np.repeat(trials, RUNGS)
    rung = np.tile(np.arange(RUNGS), len(trials))
    width = rng.uniform(0.2, 1.0, len(trials))[trial]
    sparsity = rng.uniform(0.0, 0.9, rows)
    accuracy = 0.6 + 0.3 * width**0.3 - 0.2 * sparsity**4 - rng.exponential(0.03, rows)
    columns = {
        "trial_index": trial,
        "rung": rung,
        "splitting": 2 ** (trial % 3),
        "accuracy": accuracy,
        "macs": (5e8 * width).astype(np.int64),
        "memory_bytes": 4e6 * width * (1 - 0.8 * sparsity),
        "sparsity": sparsity,
    }
    arrays = [_column(field, columns.get(field.name), trials, trial, rng) for field in POINTS]
    return pa.Table.from_arrays(arrays, schema=POINTS)


def _column(
    field: pa.Field,
    values: NDArray[np.generic] | None,
    trials: NDArray[np.int64],
    trial: NDArray[np.int64],
    rng: np.random.Generator,
) -> pa.Array:
    """Return ``values`` as a column; without values, realistic ones for the field.

    Shapes: ``trials`` [trials]; ``values`` and ``trial`` (the trial of each row) [rows].
    """
    rows = len(trial)
    if values is not None:
        return pa.array(values, field.type)
    if field.name in ("trial_key", "point"):
        keys = [f"{index:016x}" for index in trials]
        is_key = field.name == "trial_key"
        suffixes = ["" if is_key else f"-{rung:02d}" for rung in range(RUNGS)]
        return pa.array([key + suffix for key in keys for suffix in suffixes], pa.string())
    if field.name in ("config", "genotype"):
        codes = pa.array(trial - trials[0], pa.int32())
        return pa.DictionaryArray.from_arrays(codes, pa.array([_text(field.name, index) for index in trials]))
    if field.name == "taps":
        return _taps(field.type, rows, rng)
    if pa.types.is_dictionary(field.type):
        return pa.DictionaryArray.from_arrays(pa.array(np.zeros(rows, np.int32)), pa.array(["best"]))
    if pa.types.is_timestamp(field.type):
        start = datetime(2026, 1, 31, tzinfo=UTC)
        ends = [start + timedelta(seconds=int(index)) for index in trials]
        return pa.array(ends, field.type).take(pa.array(trial - trials[0]))
    if field.nullable:
        return pa.nulls(rows, field.type)
    if pa.types.is_integer(field.type):
        return pa.array(np.full(rows, 8), field.type)
    return pa.array(rng.random(rows), field.type)


def _text(name: str, index: int) -> str:
    """Return a configuration or genotype of realistic length, different for every trial."""
    if name == "genotype":
        return json.dumps({"normal": [["sep_conv_3x3", int(index + edge) % 5] for edge in range(16)]})
    fields = {f"field_{number}": number / 7 for number in range(60)}
    return json.dumps({"seed": int(index), "space": {"splitting": int(2 ** (index % 3))}, "train": fields})


def _taps(kind: pa.DataType, rows: int, rng: np.random.Generator) -> pa.Array:
    count = rows * TAPS
    names = pa.array([f"cell{tap // 4}.node{tap % 4}.out" for tap in range(TAPS)] * rows)
    parts = [names] + [
        pa.array(rng.random(count) if pa.types.is_floating(field.type) else np.full(count, 512), field.type)
        for field in list(kind.value_type)[1:]
    ]
    items = pa.StructArray.from_arrays(parts, fields=list(kind.value_type))
    return pa.ListArray.from_arrays(pa.array(np.arange(rows + 1) * TAPS, pa.int32()), items, type=kind)


def _check_front(frame: pd.DataFrame) -> None:
    """Assert that the front of some points follows the definition of dominance."""
    costs = frame[["macs", "memory_bytes", "accuracy"]].to_numpy(dtype=float) * [1, 1, -1]
    dominated = [((costs <= row).all(axis=1) & (costs < row).any(axis=1)).any() for row in costs]
    front = results.pareto_front(frame, **OBJECTIVES)
    assert front.index.tolist() == frame.index[~np.array(dominated)].tolist()


if __name__ == "__main__":
    harness.main("fronts", measure)
