"""Runs copied to TensorBoard and MLflow, read back with the readers of these tools."""

from __future__ import annotations

import importlib.util
import logging
import math
import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from mlflow.entities import Run
from mlflow.tracking import MlflowClient
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams import api_pb2, metadata, plugin_data_pb2
from typing_extensions import override

from results import LedgerEntry, ResultsError, RunDirectory
from results.sinks import Follower, Scalar, Sink, Trial, following, open_sinks
from results.sinks.sink import TagStep
from results.states import SETTLED, STATES, TrialState
from results.storage.ledger import Failure
from tests.results.rows import config_of, epoch_rows, key_of, point_rows
from tests.results.trial_states import EPOCHS, REASONS, write_every_state

# MLflow's store leaves connections to the garbage collector.
pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture
def run(local: RunDirectory) -> RunDirectory:
    """A run of three trials: finished, running (three epochs of five), failed before its first epoch."""
    local.write_sweep({"name": "test"}, {})
    for index in range(3):
        config = config_of(index, space__splitting=2**index)
        local.write_entry(LedgerEntry(index=index, key=key_of(index), seed=0, config=config))
    local.write_progress(key_of(0), epoch_rows(0))
    local.write_points(key_of(0), point_rows(0))
    local.write_progress(key_of(1), epoch_rows(1, 3))
    lost = LedgerEntry(
        index=2, key=key_of(2), seed=0, config=config_of(2), state="failed", failures=[Failure(message="nan")]
    )
    local.write_entry(lost)
    return local


@pytest.fixture(scope="module")
def mlflow_uri(tmp_path_factory: pytest.TempPathFactory) -> str:
    """One database for all tests: MLflow takes seconds to create it."""
    return f"sqlite:///{tmp_path_factory.mktemp('mlflow')}/mlflow.db"


class Memory(Sink):
    """A sink in memory; ``write`` raises ``fault`` while it is set."""

    def __init__(self) -> None:
        self.scalars: list[tuple[str, Scalar]] = []
        self.states: dict[str, TrialState] = {}
        self.fault: Exception | None = None
        self.failed = threading.Event()
        self.closed = False

    @override
    def begin(self, trial: Trial) -> set[TagStep]:
        return {scalar.tag_step for key, scalar in self.scalars if key == trial.key}

    @override
    def write(self, trial: Trial, scalars: Sequence[Scalar]) -> None:
        if self.fault is not None:
            self.failed.set()
            raise self.fault
        self.scalars += [(trial.key, scalar) for scalar in scalars]

    @override
    def finish(self, trial: Trial, state: TrialState, reason: str | None) -> None:
        self.states[trial.key] = state

    @override
    def close(self) -> None:
        self.closed = True


def test_each_step_writes_only_new_scalars(run: RunDirectory) -> None:
    sink = Memory()
    follower = Follower(run, sink)
    assert follower.step() == len(sink.scalars) > 0
    assert follower.step() == 0
    run.write_progress(key_of(1), epoch_rows(1, 4))
    assert follower.step() > 0
    assert {(key, s.tag, s.step) for key, s in sink.scalars if s.step == 4 and key == key_of(1)} >= {
        (key_of(1), "train/accuracy", 4)
    }
    assert max(Counter((key, s.tag_step) for key, s in sink.scalars).values()) == 1
    follower.finish()
    assert sink.states == {key_of(0): "finished", key_of(2): "failed"}
    assert sink.closed


def test_a_longer_ladder_adds_its_new_rungs(run: RunDirectory) -> None:
    sink = Memory()
    follower = Follower(run, sink)
    follower.step()
    run.write_points(key_of(0), point_rows(0, rungs=3))
    follower.step()
    steps = [s.step for key, s in sink.scalars if s.tag == "points/accuracy"]
    assert steps == [0, 1, 2]


def test_a_run_that_has_only_its_compacted_points_is_copied(run: RunDirectory) -> None:
    run.compact()
    run.storage.remove(f"points/{key_of(0)}.parquet")
    run.storage.remove(f"progress/{key_of(0)}.parquet")
    sink = Memory()
    Follower(run, sink).step()
    assert [s.step for key, s in sink.scalars if s.tag == "points/accuracy"] == [0, 1]


def test_a_failing_sink_is_logged_once_and_retried(
    run: RunDirectory, caplog: pytest.LogCaptureFixture
) -> None:
    sink = Memory()
    sink.fault = ConnectionError("the server is away\nat length")
    with caplog.at_level(logging.WARNING), following(run, [sink], poll_s=0.0):
        assert sink.failed.wait(30)
        sink.fault = None
    assert [record.getMessage() for record in caplog.records] == [
        "the run could not be logged: ConnectionError: the server is away"
    ]
    assert sink.states == {key_of(0): "finished", key_of(2): "failed"}


def test_a_hanging_sink_is_abandoned(run: RunDirectory, caplog: pytest.LogCaptureFixture) -> None:
    class Hanging(Memory):
        @override
        def begin(self, trial: Trial) -> set[TagStep]:
            released.wait(30)
            return set()

    released = threading.Event()
    with following(run, [Hanging()], poll_s=0.0, last_s=0.01):
        pass
    assert "`shrinksweep log` brings the rest" in caplog.text
    released.set()


def test_tensorboard_holds_the_scalars_and_parameters_of_the_run(run: RunDirectory, tmp_path: Path) -> None:
    for _ in range(2):  # the second time, a new sink finds everything written
        for sink in open_sinks(tensorboard=tmp_path / "logs"):
            Follower(run, sink).finish()
    names = sorted(folder.name for folder in (tmp_path / "logs").iterdir())
    assert names == [f"{index:06d}-{key_of(index)[:8]}" for index in range(3)]
    log = EventAccumulator(str(tmp_path / "logs" / names[0])).Reload()
    assert _series(log, "train/loss") == [(3, round(1 / 3, 6)), (4, 0.25), (5, 0.2)]
    assert [step for step, _ in _series(log, "points/accuracy")] == [0, 1]
    assert _series(log, "final/accuracy") == [(5, 0.9)]
    assert "search/validation_loss" not in log.Tags()["tensors"] + log.Tags()["scalars"]
    assert (
        _session(log, metadata.SESSION_START_INFO_TAG)
        .session_start_info.hparams["space.splitting"]
        .number_value
        == 1
    )
    unfinished = EventAccumulator(str(tmp_path / "logs" / names[1])).Reload()
    assert [step for step, _ in _series(unfinished, "search/accuracy")] == [1, 2]


def _series(log: EventAccumulator, tag: str) -> list[tuple[int, float]]:
    return [(event.step, round(event.value, 6)) for event in log.Scalars(tag)]


def _session(log: EventAccumulator, tag: str) -> plugin_data_pb2.HParamsPluginData:
    return plugin_data_pb2.HParamsPluginData.FromString(log.summary_metadata[tag].plugin_data.content)


def test_a_truncated_event_file_is_completed(run: RunDirectory, tmp_path: Path) -> None:
    for sink in open_sinks(tensorboard=tmp_path):
        Follower(run, sink).finish()
    (file,) = (tmp_path / f"000000-{key_of(0)[:8]}").iterdir()
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    for sink in open_sinks(tensorboard=tmp_path):
        assert Follower(run, sink).finish() > 0
    for sink in open_sinks(tensorboard=tmp_path):
        assert Follower(run, sink).finish() == 0


def test_mlflow_holds_the_scalars_and_parameters_of_the_run(run: RunDirectory, mlflow_uri: str) -> None:
    for again in range(2):
        for sink in open_sinks(mlflow=mlflow_uri):
            written = Follower(run, sink).finish()
            assert (written == 0) == bool(again)
    client = MlflowClient(tracking_uri=mlflow_uri)
    runs = _mlflow_runs(client, "test")
    assert {key: r.info.status for key, r in runs.items()} == {
        key_of(0): "FINISHED", key_of(1): "RUNNING", key_of(2): "FAILED"
    }  # fmt: skip
    done = runs[key_of(0)]
    assert done.data.params["space.splitting"] == "1"
    assert math.isclose(done.data.metrics["final/accuracy"], 0.9)
    history = client.get_metric_history(done.info.run_id, "train/loss")
    assert [(m.step, round(m.value, 6)) for m in history] == [(3, round(1 / 3, 6)), (4, 0.25), (5, 0.2)]
    assert runs[key_of(2)].data.tags["shrinksweep.reason"] == "nan"


def _mlflow_runs(client: MlflowClient, sweep: str) -> dict[str, Run]:
    """Return the runs of a sweep by the key of their trial."""
    experiment = client.get_experiment_by_name(sweep)
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id])
    return {run.data.tags["shrinksweep.trial_key"]: run for run in runs}


# --- every state: the trials of all states are copied at once, so none may stop those behind it ---

MLFLOW_STATUS: dict[TrialState, str | None] = {
    "proposed": None,
    "running": "RUNNING",
    "finished": "FINISHED",
    "stopped": "KILLED",
    "infeasible": "KILLED",
    "failed": "FAILED",
}
"""Status of the MLflow run of a trial in each state; a trial without epochs has none until it is settled."""

TENSORBOARD_STATUS: dict[TrialState, int | None] = {
    "proposed": None,
    "running": None,
    "finished": api_pb2.STATUS_SUCCESS,
    "stopped": api_pb2.STATUS_SUCCESS,
    "infeasible": api_pb2.STATUS_SUCCESS,
    "failed": api_pb2.STATUS_FAILURE,
}
"""Final status of a trial in each state; None: it has not ended."""

every_state = pytest.mark.parametrize("state", STATES)


@pytest.fixture(scope="module")
def states_run(tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    directory = RunDirectory(tmp_path_factory.mktemp("run"))
    write_every_state(directory)
    return directory


@pytest.fixture(scope="module")
def mlflow_runs(states_run: RunDirectory, mlflow_uri: str) -> Mapping[str, Run]:
    for sink in open_sinks(mlflow=mlflow_uri):
        Follower(states_run, sink).finish()
    return _mlflow_runs(MlflowClient(tracking_uri=mlflow_uri), "states")


@pytest.fixture(scope="module")
def tensorboard_folder(states_run: RunDirectory, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tensorboard")
    for sink in open_sinks(tensorboard=folder):
        Follower(states_run, sink).finish()
    return folder


@every_state
def test_a_sink_gets_the_final_state_of_every_settled_trial(
    state: TrialState, states_run: RunDirectory
) -> None:
    sink = Memory()
    Follower(states_run, sink).finish()
    expected = state if state in SETTLED else None
    assert sink.states.get(key_of(STATES.index(state))) == expected


@every_state
def test_mlflow_takes_trials_of_every_state(state: TrialState, mlflow_runs: Mapping[str, Run]) -> None:
    run = mlflow_runs.get(key_of(STATES.index(state)))
    assert (run.info.status if run else None) == MLFLOW_STATUS[state]
    if run is not None:
        tags = run.data.tags
        assert tags.get("shrinksweep.state") == (state if state in SETTLED else None)
        assert tags.get("shrinksweep.reason") == (
            REASONS[state] if state in ("infeasible", "failed") else None
        )
        assert bool(run.data.metrics) == bool(EPOCHS[state])


@every_state
def test_tensorboard_takes_trials_of_every_state(state: TrialState, tensorboard_folder: Path) -> None:
    index = STATES.index(state)
    log = EventAccumulator(str(tensorboard_folder / f"{index:06d}-{key_of(index)[:8]}"))
    if MLFLOW_STATUS[state] is None:
        assert not Path(log.path).exists()
        return
    log.Reload()
    has_ended = metadata.SESSION_END_INFO_TAG in log.summary_metadata
    end = _session(log, metadata.SESSION_END_INFO_TAG).session_end_info.status if has_ended else None
    assert end == TENSORBOARD_STATUS[state]
    assert bool(log.Tags()["scalars"]) == bool(EPOCHS[state])


# --- opening ---


@pytest.mark.parametrize("package", ["tensorboard", "mlflow"])
def test_a_missing_extra_is_one_clear_line(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ResultsError, match=f"--{package} needs the package .* 'shrinksweep\\[{package}\\]'"):
        open_sinks(**{package: "somewhere"})


def test_targets_that_cannot_be_written_to_are_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ResultsError, match="--tensorboard must be a folder that can be written to"):
        open_sinks(tensorboard=tmp_path / "file")
    with pytest.raises(ResultsError, match="--mlflow must be a tracking URI or a file, but got gopher"):
        open_sinks(mlflow="gopher://nowhere")
