"""Launch = resume on a real Ray, with trials that compute nothing but write every record."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import warnings
from contextlib import AbstractContextManager
from pathlib import Path
from types import ModuleType

import pandas as pd
import psutil
import pyarrow.fs as pafs
import pytest

from orchestrator import Sweep, SweepError
from orchestrator.errors import LaunchError
from orchestrator.launch import Outcome, conduct, launch
from results import RunDirectory, open_run
from results.storage.backends.fence import Fence
from tests.doubles.waiting import python_program, wait_for
from tests.orchestrator.conductor.test_conductor import drive
from tests.orchestrator.conftest import same_points, small_sweep
from tests.results.s3 import PASSWORD, s3_server

# Ray Tune warns about its own future; sockets of ended processes are closed by the garbage collector.
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning:ray"),
    pytest.mark.filterwarnings("ignore::FutureWarning:ray"),
    pytest.mark.filterwarnings("ignore::UserWarning:ray"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


def run(sweep: Sweep, run_dir: Path, trial: str = "quick_trial") -> Outcome:
    """Launch a sweep, one trial at a time: every process that Ray starts for a trial takes seconds."""
    resources = sweep.resources.model_copy(update={"max_concurrent": 1})
    return conduct(
        sweep.model_copy(update={"resources": resources}), run_dir, trial=f"tests.doubles.fake_trials:{trial}"
    )


@pytest.fixture(scope="module")
def undisturbed(cluster: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    """Run the small sweep to its end without interruption."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return run(small_sweep(), tmp_path_factory.mktemp("undisturbed") / "run")


def test_a_launch_leaves_every_record_and_the_front(undisturbed: Outcome) -> None:
    outcome, directory = undisturbed, undisturbed.directory
    folder = Path(directory.uri)
    assert outcome.complete
    assert outcome.failed == []
    points = outcome.run.points()
    assert len(points) == 6
    assert points["point"].is_unique
    assert set(outcome.run.trials()["state"]) == {"finished"}
    assert len(outcome.run.progress()) == 9
    stored = directory.read_front()
    assert stored is not None
    assert sorted(stored["point"].to_pylist()) == sorted(outcome.run.front()["point"])
    assert (folder / "points.parquet").exists()
    assert not directory.fences()


def test_launching_a_finished_run_again_starts_nothing(undisturbed: Outcome) -> None:
    before = undisturbed.run.points()
    again = run(small_sweep(), Path(undisturbed.directory.uri), trial="failing_trial")
    assert not again.started
    pd.testing.assert_frame_equal(again.run.points(), before)


def test_more_trials_go_on_where_the_run_was(undisturbed: Outcome, tmp_path: Path) -> None:
    run(small_sweep(strategy={"searcher": "grid", "trials": 2}), tmp_path / "run")
    run(small_sweep(), tmp_path / "run")
    both = small_sweep(sweep={"space.splitting": [1, 2, 4], "space.channels": [8]})
    with pytest.raises(SweepError, match="different sweep"):
        run(both, tmp_path / "run")
    same_points(open_run(tmp_path / "run").points(), undisturbed.run.points())


@pytest.mark.usefixtures("cluster")
def test_a_failing_trial_is_retried_then_recorded_and_the_sweep_goes_on(tmp_path: Path) -> None:
    outcome = run(small_sweep(retries=1), tmp_path / "run", trial="failing_trial")
    assert outcome.complete
    assert [entry.index for entry in outcome.failed] == [1]
    reason = "ArithmeticError: the loss must be finite, but got nan at epoch 2"
    assert [str(failure) for failure in outcome.failed[0].failures] == [reason, reason]
    trials = outcome.run.trials().set_index("trial_index")
    assert trials["state"].astype(str).to_dict() == {0: "finished", 1: "failed", 2: "finished"}
    assert trials.loc[1, "epochs_done"] == 1
    again = run(small_sweep(retries=1), tmp_path / "run", trial="failing_trial")
    assert not again.started
    assert len(again.failed) == 1


def test_a_trial_whose_process_dies_goes_on_from_where_it_was(undisturbed: Outcome, tmp_path: Path) -> None:
    outcome = run(small_sweep(retries=1), tmp_path / "run", trial="dying_trial")
    assert outcome.failed == []
    entry = RunDirectory(tmp_path / "run").read_ledger()[1]
    assert len(entry.failures) == 1
    assert "the process of the trial died: process" in str(entry.failures[0])
    same_points(outcome.run.points(), undisturbed.run.points())


def test_a_trial_whose_process_is_stopped_is_retried(undisturbed: Outcome, tmp_path: Path) -> None:
    sweep = small_sweep(resources={"stalled_after_s": 2.0})
    outcome = run(sweep, tmp_path / "run", trial="sleeping_trial")
    assert outcome.failed == []
    [failure] = RunDirectory(tmp_path / "run").read_ledger()[1].failures
    assert str(failure).startswith("Stalled: no progress for ")
    same_points(outcome.run.points(), undisturbed.run.points())


@pytest.mark.slow
def test_a_run_on_s3_with_a_server_that_fails_now_and_then(
    cluster: ModuleType, undisturbed: Outcome, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    keep = classmethod(lambda cls, *a, **k: None)  # to look into it
    monkeypatch.setattr(tempfile.TemporaryDirectory, "_rmtree", keep)
    with s3_server() as server:
        server.fails = lambda method, count: (
            "busy" if count % 19 == 0 else "lost" if count % 23 == 0 else "no"
        )
        uri = server.new_uri("runs/night")
        outcome = conduct(small_sweep(), uri, trial="tests.doubles.fake_trials:quick_trial")
        assert outcome.complete
        assert outcome.failed == []
        assert all(entry.failures == [] for entry in outcome.directory.read_ledger())
        same_points(open_run(uri).points(), undisturbed.run.points())
        [scratch] = tmp_path.glob("shrinksweep-*")
        assert list(scratch.rglob("*.json"))  # Tune has written there
        assert scratch.stat().st_mode & 0o077 == 0
        session = Path(cluster.nodes()[0]["ObjectStoreSocketName"]).parents[1]
        assert list(session.rglob("*.log"))
        for folder in (scratch, session):
            assert not files_with(PASSWORD, folder)
        filesystem, bucket = outcome.directory.storage.arrow("")
        for info in filesystem.get_file_info(pafs.FileSelector(bucket, recursive=True)):
            if info.type == pafs.FileType.File:
                assert PASSWORD.encode() not in filesystem.open_input_stream(info.path).read()


def files_with(text: str, folder: Path) -> list[Path]:
    """Return the files below a folder that contain a text."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return [path for path in files if text.encode() in path.read_bytes()]


@pytest.mark.slow
def test_a_gang_trains_together_and_outlives_the_death_of_a_rank(
    undisturbed: Outcome, tmp_path: Path
) -> None:
    sweep = small_sweep(resources={"workers": 2, "cpus_per_worker": 0.5, "max_concurrent": 1})
    outcome = run(sweep, tmp_path / "run", trial="gang_trial")
    assert outcome.failed == []
    entry = RunDirectory(tmp_path / "run").read_ledger()[1]
    assert any("rank 1" in failure.message for failure in entry.failures)
    same_points(outcome.run.points(), undisturbed.run.points())


def test_a_gang_that_no_node_can_hold_is_refused_before_ray_starts(tmp_path: Path) -> None:
    with pytest.raises(SweepError, match=r"`resources\.cpus_per_worker` must be at most"):
        run(small_sweep(resources={"cpus_per_worker": 4096}), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_launch_takes_the_path_of_a_sweep_file(tmp_path: Path) -> None:
    file = tmp_path / "sweep.yaml"
    file.write_text("name: file\nsweep: {space.splitting: [1]}\nresources: {cpus_per_worker: 4000}\n")
    for path in (file, str(file)):
        with pytest.raises(SweepError, match="must be at most"):
            launch(path, tmp_path / "run")


def test_the_address_of_a_ray_client_is_refused_whatever_ray_runs(tmp_path: Path) -> None:
    with pytest.raises(LaunchError, match=r"must be auto or host:port, but got ray://head:10001"):
        conduct(small_sweep(), tmp_path / "run", address="ray://head:10001")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("what", ["checkpoint", "incomplete file", "fence"])
def test_the_leftovers_of_a_finished_run_are_removed_without_starting_ray(what: str, tmp_path: Path) -> None:
    drive(small_sweep(), tmp_path / "run")
    directory = RunDirectory(tmp_path / "run")
    before = set(files_of(directory))
    if what == "checkpoint":
        directory.write_checkpoint(
            directory.read_ledger()[0].key, 1, b"its trial was killed after its points"
        )
    elif what == "incomplete file":
        directory.storage.write("checkpoints/abc/.tmp-1", b"its writer was killed")
        os.utime(tmp_path / "run/checkpoints/abc/.tmp-1", (0, 0))
    else:
        directory.open_fence(Fence(1, "abc")).storage.write(f"{Fence(1, 'abc').path}/.tmp-1", b"half a file")
    assert set(files_of(directory)) > before
    outcome = conduct(small_sweep(), tmp_path / "run", trial="tests.doubles.fake_trials:quick_trial")
    assert not outcome.started
    assert set(files_of(directory)) - before <= {"lease.json", "front.parquet"}


def files_of(directory: RunDirectory) -> list[str]:
    """Return the paths of all files of a local run."""
    folder = Path(directory.uri)
    return [str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()]


DRIVER = """
import sys
from orchestrator.launch import conduct
from tests.orchestrator.conftest import small_sweep
epochs = int(sys.argv[2])
sweep = small_sweep(trial={"search": {"epochs": 1}, "train": {"epochs": epochs}, "ladder": {"threshold": [0.0]}})
outcome = conduct(sweep, sys.argv[1], trial="tests.doubles.fake_trials:slow_trial")
print(outcome.complete, len(outcome.failed))
"""


def driver(run_dir: Path, epochs: int = 19) -> AbstractContextManager[subprocess.Popen[str]]:
    """Launch a sweep in a process of its own."""
    return python_program("-c", DRIVER, str(run_dir), str(epochs))


def epochs_of(directory: RunDirectory) -> int:
    """Return the number of epochs on storage."""
    return int(directory.read_progress(columns=["step"]).num_rows)


@pytest.mark.slow
def test_a_launch_whose_own_ray_node_dies_ends_with_one_line(tmp_path: Path) -> None:
    directory = RunDirectory(tmp_path / "run")
    with driver(tmp_path / "run", epochs=1000) as launched:
        wait_for(lambda: epochs_of(directory) >= 2, "two epochs are on storage", process=launched)
        for process in psutil.Process(launched.pid).children(recursive=True):
            if process.name() == "raylet":
                process.kill()
        output, _ = launched.communicate(timeout=100)
    assert launched.returncode != 0
    assert "LaunchError: the Ray node that a launch runs on must be alive" in output
    lease = directory.read_lease()
    assert lease is not None
    assert lease.released
    assert [entry.state for entry in directory.read_ledger()] == ["proposed"] * 3


@pytest.mark.slow
def test_launch_after_kill_finishes_every_ledger_entry(tmp_path: Path) -> None:
    run_dir = tmp_path / "run"
    directory = RunDirectory(run_dir)
    with driver(run_dir) as killed:
        wait_for(lambda: epochs_of(directory) >= 2, "two epochs are on storage", process=killed)
    assert killed.returncode == -signal.SIGKILL  # its Ray goes down with it
    before = directory.read_progress().to_pandas()
    assert not directory.finished_keys() >= {entry.key for entry in directory.read_ledger()}

    with driver(run_dir) as again:
        output, _ = again.communicate(timeout=200)
    assert "True 0" in output.splitlines(), output
    points, progress = open_run(run_dir).points(), open_run(run_dir).progress()
    assert len(points) == 3
    assert len(progress) == 60
    assert points["point"].is_unique
    assert not progress.duplicated(["trial_key", "step"]).any()
    kept = before.merge(progress, on=["trial_key", "step"])
    assert (kept["at_x"] == kept["at_y"]).all()  # no epoch that was on storage was computed again
