"""Trial: a whole trial repeated, and stopped and resumed; recomputation; the rows of the ladder against the CPU's.

On the CPU all of these are equal bit for bit. On a GPU this is what the section finds out.
"""

from __future__ import annotations

import io
import tempfile
from contextlib import nullcontext, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from PIL import Image

from benchmarks.gpu.day import Day
from benchmarks.gpu.ladder_work import (
    RUNGS,
    columns_that_differ,
    maps_that_differ,
    network,
    rows,
    torch_operations,
)
from benchmarks.gpu.numerics import described, differences, tf32
from benchmarks.gpu.settings import FULL, SMALL, TINY
from benchmarks.gpu.workload import device_option, search, trial_config
from benchmarks.harness import Cell
from results import RunDirectory
from results.record_types import JsonObject
from trials import TrialConfig, TrialContext, run_trial
from trials.checkpointing import checkpoint

TRAINING, TEST = 64, 16
"""Images of the trial."""


class StoppedError(Exception):
    """Ends a trial after an epoch, as a scheduler does."""


def measure(day: Day) -> None:
    """Run the trials, then recomputation, then the ladder."""
    with tempfile.TemporaryDirectory() as folder, tf32(False):
        _trials(day, Path(folder))
    with tf32(False):
        _recomputation(day)
        _ladder(day)


def _trials(day: Day, folder: Path) -> None:
    """Run a trial twice, and once with a stop in its search and one in its training."""
    _write_images(folder / "images.parquet", day.pick(16, 8))
    config = _config(day, folder / "images.parquet")
    with day.attempt("a trial runs", check=True):
        whole = _run(config, folder / "whole")
        day.check("a trial runs", True)
        with day.attempt("the same trial again is equal", check=True):
            found = list(differences(whole, _run(config, folder / "again")))
            day.check("the same trial again is equal", not found, described(found))
        with day.attempt("a stopped and resumed trial is equal", check=True):
            stops = day.pick((1, 3), (1,))
            found = list(differences(whole, _run(config, folder / "stopped", stops)))
            day.check("a stopped and resumed trial is equal", not found, described(found))
            day.figure("resume_equal", float(not found))
    for precision in ("bf16",) if day.tiny else ("bf16", "float64"):
        with day.attempt(f"a trial runs in {precision}", check=True):
            _run(_config(day, folder / "images.parquet", precision), folder / precision)
            day.check(f"a trial runs in {precision}", True)


def _config(day: Day, images: Path, precision: str = "float32") -> TrialConfig:
    device = {"deterministic": True} if device_option("deterministic") else {}
    epochs = day.pick(2, 1)
    return trial_config(
        SMALL if not day.tiny else replace(TINY, batch=16),
        precision,
        data={"name": "parquet", "path": str(images), "image_size": None, "cutout": 2, "crop_padding": 1},
        search={"epochs": epochs, "alpha_learning_rate": 0.05},
        train={"epochs": epochs},
        feature_maps={"regularization": 0.01, "in_search": True},
        ladder={"threshold": [0.0, 0.1], "weight_bits": [8], "feature_map_bits": [8]},
        device=device,
    )


def _run(config: TrialConfig, folder: Path, stops: tuple[int, ...] = ()) -> dict[str, Any]:
    """Run a trial, stopped after each of these epochs and started again; return its weights and measurements."""
    directory, key = RunDirectory(folder, create=True), config.trial_key()
    for stop in stops:
        with suppress(StoppedError):
            run_trial(config, TrialContext(directory, 0, "gpu_day", _stopping_after(stop)))
    run_trial(config, TrialContext(directory, 0, "gpu_day"))
    weights = checkpoint.unpack(directory.read_network(key))["network"]
    measured = ("accuracy", "loss", "effective_macs", "feature_map_bytes", "genotype")
    points = [{name: row[name] for name in measured} for row in directory.read_points(key).to_pylist()]
    return {"network": weights, "points": points}


def _stopping_after(step: int) -> Any:
    def report(row: JsonObject) -> None:
        if row["step"] == step:
            raise StoppedError

    return report


def _write_images(path: Path, side: int) -> None:
    """Write random PNG images with labels to a Parquet file."""
    generator = np.random.default_rng(0)
    table: dict[str, list[object]] = {"image": [], "label": [], "split": []}
    for index in range(TRAINING + TEST):
        content = io.BytesIO()
        pixels = generator.integers(0, 256, (side, side, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(content, "PNG")
        table["image"].append(content.getvalue())
        table["label"].append(index % 10)
        table["split"].append("train" if index < TRAINING else "test")
    pq.write_table(pa.table(table), path)


def _recomputation(day: Day) -> None:
    """Compare a search that recomputes its cells with one that stores their maps."""
    name = "recomputation changes no number"
    with day.attempt(name, check=True):
        states = []
        for recompute in (False, True):
            config = trial_config(day.pick(FULL, TINY), search={"recompute": recompute})
            phase = search(config, day.device, day.pick(3, 1))
            phase.run_epoch(0)
            states.append(phase.state_dict()["supernet"])
        found = list(differences(*states))
        day.check(name, not found, described(found))


def _ladder(day: Day) -> None:
    """Compare the ladder on the device with that of the CPU, both by torch's operations.

    In float32, a convolution adds in another order on a GPU, and a last digit can be another level. So float32 has to
    agree to the last symbol on equal maps, and whole rows have to agree in float64, where last digits decide nothing;
    how rows in float32 differ is recorded. Tests show that the compiled passes of the CPU give the same rows. They take
    long to compile, so only a rehearsal uses them: it has nothing else to compare with.
    """
    table: list[list[Cell]] = []
    name = "equal maps have equal symbols"
    equal = False
    with day.attempt(name, check=True), torch_operations():
        unequal = maps_that_differ(day.device, *day.pick((64, 16, 32), (2, 4, 8)))
        equal = not unequal
        day.check(name, equal, ", ".join(unequal) or "all filters")
    for kind in day.pick(("conv", "attention"), ("conv",)):
        name = f"ladder rows as on the CPU, {kind}"
        channels, images, side = day.pick((16, 512, 16), (4, 16, 8))
        torch.manual_seed(0)
        made = network(kind, channels, side)
        for precision in day.pick(("float64", "float32"), ("float32",)):
            with day.attempt(name, check=True):
                with torch_operations():
                    found = rows(made, day.device, images, side, precision=precision)
                with torch_operations() if day.on_gpu else nullcontext():
                    expected = rows(made, torch.device("cpu"), images, side, precision=precision)
                differing = columns_that_differ(expected, found)
                table += [[kind, precision, column, size] for column, size in differing.items()]
                if precision == "float32" and day.on_gpu:
                    continue
                equal = equal and not differing
                text = ", ".join(sorted(differing)) or f"{len(RUNGS)} rungs, all columns"
                day.check(name, not differing, text)
                day.figure("ladder_rows_equal", float(equal))
    columns = ("network", "precision", "column", "difference")
    day.table("ladder: largest relative difference from the CPU", columns, table)
