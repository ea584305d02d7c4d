"""Runs as studies, read back with Optuna."""

from __future__ import annotations

from pathlib import Path

import optuna
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState

from orchestrator import OrchestratorError, Sweep
from orchestrator.conductor import transitions
from orchestrator.searchers.optuna_study import write_study
from results import RunDirectory, open_run
from tests.doubles.fake_trials import quick_trial
from tests.orchestrator.cli.conftest import make_run, run_trial
from tests.orchestrator.conftest import small_sweep
from trials.context import TrialContext

# Optuna leaves it to the garbage collector to close databases.
pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning"),
]


def load(path: Path, name: str = "test") -> optuna.Study:
    return optuna.load_study(study_name=name, storage=f"sqlite:///{path}")


@pytest.fixture
def run(tmp_path: Path) -> RunDirectory:
    return make_run(tmp_path / "run")


def test_the_best_trials_of_the_study_are_the_front(run: RunDirectory, tmp_path: Path) -> None:
    assert write_study(run, str(tmp_path / "study.db")) == (5, "test")
    study = load(tmp_path / "study.db")
    front = open_run(run).front()
    assert study.metric_names == ["accuracy", "macs", "memory_bytes"]
    assert sorted(t.user_attrs["point"] for t in study.best_trials) == sorted(front["point"])
    values = {tuple(t.values) for t in study.best_trials}
    assert values == set(
        front[["accuracy", "macs", "memory_bytes"]].astype(float).itertuples(index=False, name=None)
    )


def test_parameters_are_the_swept_fields_and_the_ladder(run: RunDirectory, tmp_path: Path) -> None:
    write_study(run, str(tmp_path / "study.db"))
    trials = load(tmp_path / "study.db").trials
    points = open_run(run).points().set_index("point")
    done = [trial for trial in trials if trial.state == TrialState.COMPLETE]
    assert len(done) == len(points)
    for trial in done:
        row = points.loc[trial.user_attrs["point"]]
        assert trial.params == {
            "space.splitting": row["splitting"], "space.channels": 8, "threshold": row["threshold"]
        }  # fmt: skip
        assert trial.user_attrs["genotype"] == row["genotype"]
        assert trial.datetime_start <= trial.datetime_complete
    (failed,) = [trial for trial in trials if trial.state == TrialState.FAIL]
    assert failed.user_attrs["reason"] == "TrialError: the loss is nan"
    assert failed.params == {"space.splitting": 4, "space.channels": 8}


@pytest.mark.parametrize("file", ["study.db", "study.log"])
def test_writing_again_adds_only_what_is_new(run: RunDirectory, tmp_path: Path, file: str) -> None:
    location = str(tmp_path / file)
    assert write_study(run, location)[0] == 5
    assert write_study(run, location)[0] == 0
    run_trial(run, Sweep.from_mapping(run.read_sweep() or {}), 2, 4)
    assert write_study(run, location)[0] == 2


def test_points_that_violate_a_constraint_are_not_among_the_best_trials(
    run: RunDirectory, tmp_path: Path
) -> None:
    least = int(open_run(run).points()["macs"].min())
    run.write_sweep({**(run.read_sweep() or {}), "constraints": [f"macs <= {least}"]}, {})
    write_study(run, str(tmp_path / "study.log"))
    storage = JournalStorage(JournalFileBackend(str(tmp_path / "study.log")))
    best = optuna.load_study(study_name="test", storage=storage).best_trials
    assert sorted(trial.user_attrs["point"] for trial in best) == sorted(open_run(run).front()["point"])


def test_ranges_and_a_longer_ladder_fit_one_study(tmp_path: Path) -> None:
    ladder = {"threshold": [0.0], "codec": ["best", "none"]}
    swept = {"space.splitting": [1, 2], "train.momentum": {"low": 0.1, "high": 0.9, "step": 0.1}}
    swept |= {"feature_maps.regularization": {"low": 0.0, "high": 1.0}}
    strategy = {"searcher": "random", "trials": 2}
    location, run = str(tmp_path / "study.db"), RunDirectory(tmp_path / "run", create=True)
    for index, fields in enumerate(
        [ladder, {"threshold": [0.0, 0.3], "codec": ["best", "none", "zero_value"]}]
    ):
        sweep = small_sweep(sweep=swept, strategy=strategy, trial={"ladder": fields})
        run.write_sweep(sweep.model_dump(mode="json"), {})
        run_trial(run, sweep, index, index + 1)
        write_study(run, location)
    trials = load(tmp_path / "study.db").trials
    assert len(trials) == 2 + 6
    assert {t.params["train.momentum"] for t in trials} == {0.9}
    assert {t.params["codec"] for t in trials} == {"best", "none", "zero_value"}
    assert [t.params.get("threshold") for t in trials[:2]] == [None, None]


def test_a_study_of_other_objectives_is_refused(run: RunDirectory, tmp_path: Path) -> None:
    other = optuna.create_study(study_name="test", storage=f"sqlite:///{tmp_path}/study.db")
    other.add_trial(optuna.trial.create_trial(value=1.0))
    with pytest.raises(OrchestratorError, match=r"the study test in .*study.db must have the objectives"):
        write_study(run, str(tmp_path / "study.db"))


def test_an_invalid_location_or_run_is_reported_in_one_line(run: RunDirectory, tmp_path: Path) -> None:
    with pytest.raises(
        OrchestratorError, match=r"a study must be a SQLite file, .* but got .*none/study.db: "
    ):
        write_study(run, str(tmp_path / "none/study.db"))
    run.storage.remove("sweep.yaml")
    with pytest.raises(OrchestratorError, match=r"has no sweep.yaml"):
        write_study(run, str(tmp_path / "study.db"))


def grow(run: RunDirectory, swept: dict[str, object]) -> None:
    """Sweep ``swept`` in a run, and add a finished trial of the last value of each of its lists."""
    last = {path: values[-1] for path, values in swept.items() if isinstance(values, list)}
    sweep = small_sweep(sweep=swept)
    run.write_sweep(sweep.model_dump(mode="json"), {})
    config = sweep.config({path: tuple(v) if isinstance(v, list) else v for path, v in last.items()})
    index = len(run.read_ledger())
    run.write_entry(transitions.new_entry(index, config))
    quick_trial(config, TrialContext(run, index, "test", lambda row: None))


@pytest.mark.parametrize("file", ["study.db", "study.log"])
def test_a_study_takes_a_list_of_words_that_has_grown(file: str, tmp_path: Path) -> None:
    run, location = RunDirectory(tmp_path / "run", create=True), str(tmp_path / file)
    grow(run, {"space.output_node": ["node_groups"]})
    assert write_study(run, location)[0] == 2
    grow(run, {"space.output_node": ["node_groups", "concat"]})
    assert write_study(run, location)[0] == 2
    assert write_study(run, location)[0] == 0


def test_a_study_that_cannot_take_a_list_that_has_grown_says_so_in_one_line(tmp_path: Path) -> None:
    run, location = RunDirectory(tmp_path / "run", create=True), str(tmp_path / "study.db")
    grow(run, {"feature_maps.taps": [["*"]]})
    write_study(run, location)
    grow(run, {"feature_maps.taps": [["*"], ["*.input"]]})
    with pytest.raises(
        OrchestratorError, match="must take the new points, but CategoricalDistribution"
    ) as caught:
        write_study(run, location)
    assert "\n" not in str(caught.value)
