from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from results import Run, RunDirectory, hypervolume
from tests.results.rows import epoch_rows, key_of, point_rows
from tests.results.test_run import fill

REFERENCE = {"accuracy": 0.5, "macs": 1100}


def test_the_history_ends_with_the_hypervolume_of_all(local: RunDirectory) -> None:
    run = fill(local)
    history = run.hypervolume_history(reference=REFERENCE)
    assert history["hypervolume"].is_monotonic_increasing
    points = run.points()
    for count, (_, row) in enumerate(history.iterrows(), 1):
        so_far = points[points["trial_key"].isin(history["trial_key"][:count])]
        expected = hypervolume(so_far, maximize="accuracy", minimize="macs", reference=REFERENCE)
        assert row["hypervolume"] == pytest.approx(expected)
    assert history["trials"].tolist() == [1, 2, 3, 4, 5, 6]


def test_trials_count_in_the_order_in_which_they_finished(local: RunDirectory) -> None:
    run = fill(local, trials=2)
    late = pd.Timestamp("2026-02-01", tz="UTC")
    local.write_points(key_of(0), point_rows(0, finished_at=late.to_pydatetime()))
    history = run.hypervolume_history()
    assert history["trial_index"].tolist() == [1, 0]
    assert history["epochs"].tolist() == [10, 10]  # the epochs of the unfinished trial count as well
    assert history["wall_s"].tolist() == [90.0, 12 * 3600.0]


def test_without_progress_the_start_follows_from_the_phase_durations(local: RunDirectory) -> None:
    local.write_points(key_of(0), point_rows(0, search_s=10.0, train_s=5.0, ladder_s=1.0))
    history = Run([local]).hypervolume_history("accuracy", "macs")
    assert history["wall_s"].tolist() == [16.0]
    assert history["epochs"].tolist() == [0]


def test_no_points_give_an_empty_history(local: RunDirectory) -> None:
    local.write_progress(key_of(0), epoch_rows(0))
    history = Run([local]).hypervolume_history("accuracy", "macs")
    assert history.empty
    assert "hypervolume" in history


def test_several_runs_are_followed_one_by_one(tmp_path: Path) -> None:
    runs = [RunDirectory(tmp_path / name) for name in "ab"]
    for directory, trials in zip(runs, (1, 3), strict=True):
        fill(directory, trials)
    both = Run(runs, ["a", "b"])
    history = both.hypervolume_history(reference=REFERENCE)
    assert history["run"].tolist() == ["a", "b", "b", "b"]
    assert history["trials"].tolist() == [1, 1, 2, 3]
    alone = Run([runs[1]]).hypervolume_history(reference=REFERENCE)
    assert history["hypervolume"].tolist()[1:] == alone["hypervolume"].tolist()
    assert both.hypervolume_history(where="macs < 0").empty
