"""What a searcher learns from a trial's points."""

from __future__ import annotations

import math
from pathlib import Path

from orchestrator.conductor.observations import read_observations
from results import RunDirectory
from results.record_types import PointRow
from tests.doubles.fake_trials import point_row
from tests.orchestrator.conftest import small_sweep
from trials.context import TrialContext


def test_points_without_finite_objectives_are_left_out(tmp_path: Path) -> None:
    sweep = small_sweep(
        objectives={"accuracy": "max", "latency_1_ms": "min"}, constraints=["macs <= 1", "accuracy >= 0.5"]
    )
    directory = RunDirectory(tmp_path, create=True)
    config, rung = sweep.trial, sweep.trial.ladder.rungs()[0]
    context = TrialContext(directory, 0, sweep.name)
    measured: list[tuple[float, float | None]] = [(0.25, 2.0), (0.5, None), (math.nan, 1.0)]
    rows: list[PointRow] = [
        point_row(config, context, index, rung, accuracy) | {"macs": 3, "latency_1_ms": latency_ms}
        for index, (accuracy, latency_ms) in enumerate(measured)
    ]
    directory.write_points(config.trial_key(), rows)
    observation = read_observations(sweep, directory)[config.trial_key()]
    assert observation.objectives == [[0.25, 2.0]]
    assert observation.violations == [[2.0, 0.25]]
    assert read_observations(sweep, directory, "0" * 16) == {}
