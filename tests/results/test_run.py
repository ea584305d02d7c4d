from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.fs as pafs
import pytest

import results
from results import (
    LedgerEntry,
    NoRunError,
    ResultsError,
    Run,
    RunDirectory,
    UnknownColumnError,
    pareto_front,
    refresh_front,
)
from results.tables.frames import with_fields
from tests.results.rows import config_of, epoch_rows, key_of, point_rows
from tests.results.stores import ObjectStore

SWEEP = {
    "name": "test",
    "objectives": {"accuracy": "max", "macs": "min"},
    "sweep": {"space.splitting": [1, 2, 4], "search.epochs": [2], "train.momentum": [0.8, 0.9]},
}


def fill(directory: RunDirectory, trials: int = 6) -> Run:
    directory.write_sweep(SWEEP, {"shrinksweep": "0.1.0"})
    for index in range(trials):
        config = config_of(index, space__splitting=2 ** (index % 3))
        directory.write_entry(LedgerEntry(index=index, key=key_of(index), seed=0, config=config))
        directory.write_progress(key_of(index), epoch_rows(index))
        directory.write_points(key_of(index), point_rows(index))
    return Run([directory])


def front_of(directory: RunDirectory) -> pa.Table:
    front = directory.read_front()
    assert front is not None
    return front


def test_points_have_the_types_of_the_schema(directory: RunDirectory) -> None:
    points = fill(directory).points()
    assert len(points) == 12
    assert isinstance(points["codec"].dtype, pd.CategoricalDtype)
    assert isinstance(points["config"].dtype, pd.CategoricalDtype)
    assert points["search_peak_bytes"].dtype == "Int64"
    assert points["latency_1_ms"].isna().all()
    assert pd.api.types.is_string_dtype(points["trial_key"].dtype)  # object before pandas 3
    assert str(points["finished_at"].dtype) == "datetime64[us, UTC]"
    assert points["macs"].dtype == np.int64
    assert "taps" not in points


def test_swept_fields_without_a_column_get_one(local: RunDirectory) -> None:
    points = fill(local).points()
    assert points["train_momentum"].tolist() == [0.9] * 12
    assert points["splitting"].tolist() == [1, 1, 2, 2, 4, 4] * 2
    assert points.columns.tolist().count("search_epochs") == 1


@pytest.mark.parametrize(
    ("path", "values", "dtype", "expected"),
    [
        ("data.flip", [True, None], "boolean", [True, pd.NA]),
        ("data.crop", [1, None], "Int64", [1, pd.NA]),
        ("data.mean", [1, 0.5], "float64", [1.0, 0.5]),
        ("data.path", ["a", "b"], "category", ["a", "b"]),
        ("data.taps", [["x"], ["y", "z"]], "category", ['["x"]', '["y", "z"]']),
        ("data.mixed", ["a", 1], "category", ["a", "1"]),
    ],
)
def test_swept_fields_have_the_type_of_their_values(
    path: str, values: list[object], dtype: str, expected: list[object]
) -> None:
    section, name = path.split(".")
    configs = [json.dumps({section: {name: value}}) for value in values]
    frame = with_fields(pd.DataFrame({"config": pd.Categorical(configs)}), [path])
    column = frame[f"{section}_{name}"]
    assert column.dtype == dtype
    assert column.tolist() == expected


def test_points_and_progress_of_selected_columns(local: RunDirectory) -> None:
    run = fill(local)
    assert run.points(["macs", "train.momentum", "accuracy"]).columns.tolist() == [
        "macs",
        "train_momentum",
        "accuracy",
    ]
    assert run.points("macs").columns.tolist() == ["macs"]
    assert len(run.points(["train_momentum"])) == 12
    assert run.progress(["loss"]).columns.tolist() == ["loss"]
    for ask in (run.points, run.progress):
        with pytest.raises(UnknownColumnError, match="no column `los`; did you mean `loss`"):
            ask(["los"])


def test_taps_are_one_row_each(local: RunDirectory) -> None:
    taps = fill(local, trials=1).taps()
    assert taps["tap"].tolist() == ["stem", "cell0.out"] * 2
    assert taps["rung"].tolist() == [0, 0, 1, 1]
    assert taps["bytes"].tolist() == [40.0, 80.0] * 2


def test_the_front_of_the_sweeps_objectives(directory: RunDirectory) -> None:
    run = fill(directory)
    front = run.front()
    expected = pareto_front(run.points(), maximize=["accuracy"], minimize=["macs"])
    assert set(front["point"]) == set(expected["point"])
    assert front["accuracy"].is_monotonic_decreasing
    assert front.index.tolist() == list(range(len(front)))


def test_the_front_of_other_objectives_filters_and_groups(local: RunDirectory) -> None:
    run = fill(local)
    assert run.front(maximize="sparsity")["sparsity"].tolist() == [0.4] * 12  # equal rows are all on it
    assert (run.front(where="splitting in (2, 4)")["splitting"] > 1).all()
    assert run.front(where="train.momentum > 1").empty
    each = run.front(by="splitting")
    for splitting, group in each.groupby("splitting"):
        alone = run.front(where=f"splitting == {splitting}")
        assert group["point"].tolist() == alone["point"].tolist()
    assert each["splitting"].is_monotonic_increasing
    assert len(run.front(by=["splitting", "codec"])) == len(each)
    assert len(run.front(epsilon={"macs": 10_000, "accuracy": 1.0})) == 1
    with pytest.raises(UnknownColumnError, match="`spliting`"):
        run.front(by="spliting")


def test_hypervolume_of_all_and_by_group(local: RunDirectory) -> None:
    run = fill(local)
    reference = {"accuracy": 0.0, "macs": 1100}
    volume = run.hypervolume(reference=reference)
    assert volume == results.hypervolume(
        run.points(), maximize=["accuracy"], minimize=["macs"], reference=reference
    )
    groups = run.hypervolume(by="splitting", reference=reference)
    assert groups.index.tolist() == [1, 2, 4]
    assert groups.index.name == "splitting"
    assert (groups <= volume).all()
    pairs = run.hypervolume(by=["splitting", "codec"])
    assert pairs.index.names == ["splitting", "codec"]
    assert run.hypervolume(where="splitting > 100") == 0.0
    assert run.hypervolume(where="splitting > 100", by="splitting").empty


def test_ranks_begin_with_the_front(local: RunDirectory) -> None:
    run = fill(local)
    ranked = run.rank()
    assert len(ranked) == 12
    assert set(ranked[ranked["rank"] == 1]["point"]) == set(run.front()["point"])
    assert ranked["rank"].is_monotonic_increasing


def test_trials_without_a_readable_ledger_entry_are_listed(local: RunDirectory) -> None:
    run = fill(local, trials=3)
    for index in (0, 1):
        (Path(local.uri) / "ledger" / f"{index:06d}.json").write_text("{")
    (Path(local.uri) / "points" / f"{key_of(1)}.parquet").unlink()
    trials = run.trials()
    assert trials["trial_index"].tolist() == [0, 1, 2]
    assert trials["state"].tolist() == ["finished", "running", "finished"]
    assert [problem.path for problem in run.problems()] == ["ledger/000000.json", "ledger/000001.json"]


def test_a_run_without_any_point(directory: RunDirectory) -> None:
    directory.write_sweep(SWEEP, {})
    run = Run([directory])
    assert run.points().empty
    assert run.progress().empty
    assert run.trials().empty
    assert run.taps().empty
    assert run.front().empty
    assert run.front(by="splitting").empty
    assert run.rank().empty
    assert run.hypervolume() == 0.0
    assert "train_momentum" in run.points()


def test_a_run_without_its_sweep_file_has_default_objectives(local: RunDirectory) -> None:
    local.write_points(key_of(0), point_rows(0))
    run = Run([local])
    assert run.objectives() == {"accuracy": "max", "macs": "min", "memory_bytes": "min"}
    assert len(run.front()) == 2


# --- opening ---


def test_open_run_by_path_uri_and_file_system(directory: RunDirectory, tmp_path: Path) -> None:
    fill(directory, trials=1)
    filesystem = getattr(directory.storage, "filesystem", None)
    assert len(results.open_run(directory.uri, filesystem=filesystem).points()) == 2


def test_open_run_by_file_uri(local: RunDirectory) -> None:
    fill(local, trials=1)
    assert len(results.open_run(f"file://{local.uri}").points()) == 2
    assert len(results.open_run(Path(local.uri)).points()) == 2


def test_a_path_without_a_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NoRunError, match=str(tmp_path)):
        results.open_run(tmp_path)
    for paths in (str(tmp_path / "*"), [], [tmp_path / "x"]):
        with pytest.raises(NoRunError):
            results.open_runs(paths)


def test_several_runs_as_one(tmp_path: Path) -> None:
    for name, trials in (("b", 1), ("a", 2)):
        fill(RunDirectory(tmp_path / name), trials)
    (tmp_path / "c").mkdir()
    (tmp_path / "d.txt").write_text("no run")
    run = results.open_runs(str(tmp_path / "*"))
    points = run.points()
    assert points.columns[0] == "run"
    assert points["run"].tolist() == ["a"] * 4 + ["b"] * 2
    assert isinstance(points["run"].dtype, pd.CategoricalDtype)
    assert isinstance(points["codec"].dtype, pd.CategoricalDtype)
    assert run.trials()["run"].tolist() == ["a", "a", "b"]
    assert run.progress(["run", "loss"]).columns.tolist() == ["run", "loss"]
    assert set(run.front(by="run")["run"]) == {"a", "b"}
    assert run.hypervolume(by="run").index.tolist() == ["a", "b"]
    with pytest.raises(ResultsError, match="this needs a single run, but got 2 runs"):
        run.sweep()


def test_runs_of_the_same_folder_name_are_named_by_their_paths(tmp_path: Path) -> None:
    paths = [tmp_path / "x" / "run", tmp_path / "y" / "run"]
    for path in paths:
        fill(RunDirectory(path), 1)
    assert results.open_runs(paths).points()["run"].unique().tolist() == [str(path) for path in paths]


def test_runs_of_different_objectives_need_them_given(tmp_path: Path) -> None:
    for name in ("a", "b"):
        fill(RunDirectory(tmp_path / name), 1)
    RunDirectory(tmp_path / "b").write_sweep(SWEEP | {"objectives": {"macs": "min"}}, {})
    run = results.open_runs(str(tmp_path / "*"))
    with pytest.raises(ResultsError, match="need maximize and minimize"):
        run.front()
    assert len(run.front(minimize="macs")) > 0


def test_a_pattern_over_a_network(tmp_path: Path) -> None:
    filesystem = pafs.PyFileSystem(ObjectStore())
    for name in ("night-1", "night-2", "day"):
        fill(RunDirectory(f"bucket/runs/{name}", filesystem=filesystem), 1)
    run = results.open_runs("bucket/runs/night-*", filesystem=filesystem)
    assert run.points()["run"].tolist() == ["night-1"] * 2 + ["night-2"] * 2


# --- front.parquet ---


def test_the_front_file_is_updated_by_each_trial(directory: RunDirectory) -> None:
    objectives = SWEEP["objectives"]
    assert isinstance(objectives, dict)
    for index in (3, 0, 5, 1, 4, 2):
        directory.write_points(key_of(index), point_rows(index))
        refresh_front(directory, objectives, [key_of(index)])
        expected = refresh_front(directory, objectives)
        assert front_of(directory).to_pylist() == expected.to_pylist()
        refresh_front(directory, objectives, [key_of(index)])  # a second call has no further effect
        assert front_of(directory).to_pylist() == expected.to_pylist()
    assert set(front_of(directory)["point"].to_pylist()) == set(
        Run([directory]).front(maximize="accuracy", minimize="macs")["point"]
    )


def test_the_front_of_no_points_is_empty(directory: RunDirectory) -> None:
    assert refresh_front(directory, {"macs": "min"}).num_rows == 0
    assert front_of(directory).num_rows == 0


def test_a_broken_front_file_is_computed_again_from_all_points(local: RunDirectory) -> None:
    for index in range(3):
        local.write_points(key_of(index), point_rows(index))
    (Path(local.uri) / "front.parquet").write_bytes(b"broken")
    refresh_front(local, {"macs": "min"}, [key_of(0)])
    assert front_of(local)["trial_index"].to_pylist() == [2, 2]


def test_points_are_selected_by_an_expression_over_any_column(local: RunDirectory) -> None:
    run = fill(local)
    kept = run.points(["accuracy", "space.splitting"], where="splitting == 4 and rung == 0")
    everything = run.points()
    expected = everything[(everything["splitting"] == 4) & (everything["rung"] == 0)]
    assert kept["accuracy"].tolist() == expected["accuracy"].tolist() != []
    assert list(kept.columns) == ["accuracy", "splitting"]
    assert len(run.points(where="train_momentum > 0.85")) == len(
        everything[everything["train_momentum"] > 0.85]
    )
    with pytest.raises(UnknownColumnError, match="did you mean `accuracy`"):
        run.points(["acuracy"], where="rung == 0")


def test_a_run_exports_and_reports_like_the_command_line(
    local: RunDirectory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, calls = fill(local), []

    def export_point(*arguments: object, onnx: bool) -> Path:
        calls.append((*arguments, onnx))
        return tmp_path

    monkeypatch.setattr("trials.export.export.export_point", export_point)
    assert run.export("12-00", "network", onnx=True) == tmp_path
    run.export(run.knee())
    assert calls == [(local, "12-00", "network", True), (local, run.knee()["point"], None, False)]
    page = run.report(str(tmp_path / "page.html"))
    assert page.read_text().startswith("<!DOCTYPE html>")


def test_a_notebook_shows_the_state_and_the_front(local: RunDirectory) -> None:
    empty = Run([local])._repr_html_()
    assert local.uri in empty
    assert "no trials yet" in empty
    run = fill(local)
    page = run._repr_html_()
    assert "trials: 6 finished; 12 points, 5 of them on the front" in page
    assert all(name in page for name in run.front()["point"])
    assert "<th>accuracy</th>" in page
    assert "<th>splitting</th>" in page
