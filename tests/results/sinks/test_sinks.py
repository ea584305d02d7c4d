"""Runs in TensorBoard and MLflow, read back with their own readers."""

from __future__ import annotations

import importlib.util
import logging
import math
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from mlflow.tracking import MlflowClient
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams import metadata, plugin_data_pb2

from results import LedgerEntry, ResultsError, RunDirectory
from results.sinks import Follower, Scalar, Sink, Trial, following, open_sinks
from results.storage.ledger import Failure
from tests.results.rows import config_of, epoch_rows, key_of, point_rows

# MLflow's store leaves connections to the garbage collector.
pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture
def run(local: RunDirectory) -> RunDirectory:
    """A run of a finished trial, one under way (three epochs of five), and one given up before its first epoch."""
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


class Memory:
    """A sink in memory; it fails as long as ``fault`` is set."""

    def __init__(self) -> None:
        self.scalars: list[tuple[str, Scalar]] = []
        self.states: dict[str, str] = {}
        self.fault: Exception | None = None
        self.failed = threading.Event()
        self.closed = False

    def begin(self, trial: Trial) -> set[tuple[str, int]]:
        return {scalar[:2] for key, scalar in self.scalars if key == trial.key}

    def write(self, trial: Trial, scalars: Sequence[Scalar]) -> None:
        if self.fault is not None:
            self.failed.set()
            raise self.fault
        self.scalars += [(trial.key, scalar) for scalar in scalars]

    def finish(self, trial: Trial, state: str, reason: str | None) -> None:
        self.states[trial.key] = state

    def close(self) -> None:
        self.closed = True


def test_each_step_brings_only_what_is_new(run: RunDirectory) -> None:
    sink = Memory()
    follower = Follower(run, sink)
    assert follower.step() == len(sink.scalars) > 0
    assert follower.step() == 0
    run.write_progress(key_of(1), epoch_rows(1, 4))
    assert follower.step() > 0
    assert {(key, s.tag, s.step) for key, s in sink.scalars if s.step == 4 and key == key_of(1)} >= {
        (key_of(1), "train/accuracy", 4)
    }
    assert max(Counter((key, *s[:2]) for key, s in sink.scalars).values()) == 1
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


def test_a_run_of_which_only_the_compacted_points_are_left_is_followed(run: RunDirectory) -> None:
    run.compact()
    run.storage.remove(f"points/{key_of(0)}.parquet")
    run.storage.remove(f"progress/{key_of(0)}.parquet")
    sink = Memory()
    Follower(run, sink).step()
    assert [s.step for key, s in sink.scalars if s.tag == "points/accuracy"] == [0, 1]


def test_a_sink_that_fails_is_one_warning_and_is_tried_again(
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


def test_a_sink_that_hangs_is_left_behind(run: RunDirectory, caplog: pytest.LogCaptureFixture) -> None:
    class Hanging(Memory):
        def begin(self, trial: Trial) -> set[tuple[str, int]]:
            released.wait(30)
            return set()

    released = threading.Event()
    with following(run, [Hanging()], poll_s=0.0, last_s=0.01):
        pass
    assert "`shrinksweep log` brings the rest" in caplog.text
    released.set()


def test_tensorboard_reads_back_what_the_run_holds(run: RunDirectory, tmp_path: Path) -> None:
    for _ in range(2):  # the second time, another process finds all of it there
        for sink in open_sinks(tensorboard=tmp_path / "logs"):
            Follower(run, sink).finish()
    names = sorted(folder.name for folder in (tmp_path / "logs").iterdir())
    assert names == [f"{index:06d}-{key_of(index)[:8]}" for index in range(3)]
    log = EventAccumulator(str(tmp_path / "logs" / names[0])).Reload()
    losses = [(e.step, round(e.value, 6)) for e in _series(log, "train/loss")]
    assert losses == [(3, round(1 / 3, 6)), (4, 0.25), (5, 0.2)]
    assert [e.step for e in _series(log, "points/accuracy")] == [0, 1]
    assert [(e.step, round(e.value, 6)) for e in _series(log, "final/accuracy")] == [(5, 0.9)]
    assert "search/validation_loss" not in log.Tags()["tensors"] + log.Tags()["scalars"]
    assert _hparams(log).session_start_info.hparams["space.splitting"].number_value == 1
    unfinished = EventAccumulator(str(tmp_path / "logs" / names[1])).Reload()
    assert [e.step for e in _series(unfinished, "search/accuracy")] == [1, 2]


def _series(log: EventAccumulator, tag: str) -> Iterator[object]:
    yield from log.Scalars(tag)


def _hparams(log: EventAccumulator) -> plugin_data_pb2.HParamsPluginData:
    content = log.summary_metadata[metadata.SESSION_START_INFO_TAG].plugin_data.content
    return plugin_data_pb2.HParamsPluginData.FromString(content)


def test_an_event_file_that_was_cut_off_is_completed(run: RunDirectory, tmp_path: Path) -> None:
    for sink in open_sinks(tensorboard=tmp_path):
        Follower(run, sink).finish()
    (file,) = (tmp_path / f"000000-{key_of(0)[:8]}").iterdir()
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    for sink in open_sinks(tensorboard=tmp_path):
        assert Follower(run, sink).finish() > 0
    for sink in open_sinks(tensorboard=tmp_path):
        assert Follower(run, sink).finish() == 0


def test_mlflow_reads_back_what_the_run_holds(run: RunDirectory, tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    for again in range(2):
        for sink in open_sinks(mlflow=uri):
            written = Follower(run, sink).finish()
            assert (written == 0) == bool(again)
    client = MlflowClient(tracking_uri=uri)
    experiment = client.get_experiment_by_name("test")
    assert experiment is not None
    runs = {r.data.tags["shrinksweep.trial_key"]: r for r in client.search_runs([experiment.experiment_id])}
    assert {key: r.info.status for key, r in runs.items()} == {
        key_of(0): "FINISHED", key_of(1): "RUNNING", key_of(2): "FAILED"
    }  # fmt: skip
    done = runs[key_of(0)]
    assert done.data.params["space.splitting"] == "1"
    assert math.isclose(done.data.metrics["final/accuracy"], 0.9)
    history = client.get_metric_history(done.info.run_id, "train/loss")
    assert [(m.step, round(m.value, 6)) for m in history] == [(3, round(1 / 3, 6)), (4, 0.25), (5, 0.2)]
    assert runs[key_of(2)].data.tags["shrinksweep.reason"] == "nan"


@pytest.mark.parametrize("package", ["tensorboard", "mlflow"])
def test_an_extra_that_is_missing_is_one_clear_line(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ResultsError, match=f"--{package} needs the package .* 'shrinksweep\\[{package}\\]'"):
        open_sinks(**{package: "somewhere"})


def test_places_that_cannot_be_written_to_are_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ResultsError, match="--tensorboard must be a folder that can be written to"):
        open_sinks(tensorboard=tmp_path / "file")
    with pytest.raises(ResultsError, match="--mlflow must be a tracking URI or a file, but got gopher"):
        open_sinks(mlflow="gopher://nowhere")


def test_the_sinks_are_sinks(tmp_path: Path) -> None:
    sinks: list[Sink] = [Memory(), *open_sinks(tensorboard=tmp_path)]
    assert all(callable(sink.begin) for sink in sinks)
