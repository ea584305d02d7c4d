"""The course of a launch without Ray: trials run in this process, one after the other or interleaved."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path

import optuna
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from orchestrator import Sweep
from orchestrator.conductor import front_keeper, transitions
from orchestrator.conductor.conductor import Conductor, is_finished
from orchestrator.conductor.monitor import Monitor
from orchestrator.searchers.optuna_searcher import OptunaSearcher
from results import LedgerEntry, RunDirectory, open_run
from results.storage.ledger import Failure
from tests.doubles.fake_trials import (
    evaluate_ladder,
    failing_trial,
    infinite_trial,
    noop_trial,
    progress_row,
    write_records,
)
from tests.doubles.stopped import StoppedError
from tests.orchestrator.conftest import same_points, small_sweep
from trials.config import TrialConfig
from trials.context import TrialContext

TrialFunction = Callable[[TrialConfig, TrialContext], None]


def drive(
    sweep: Sweep,
    path: Path,
    trial: TrialFunction = noop_trial,
    concurrent: int = 1,
    steps: int = 10_000,
    *,
    retry_failed: bool = False,
) -> Conductor:
    """Run a sweep as Tune would, and stop after ``steps`` attempts as if the driver had been killed."""
    directory = RunDirectory(path, create=True)
    directory.write_sweep(sweep.model_dump(mode="json"), {})
    conductor = Conductor(sweep, directory, Monitor(), retry_failed=retry_failed)
    started: deque[LedgerEntry] = deque()
    for _ in range(steps):
        while len(started) < concurrent and (entry := conductor.next()) is not None:
            started.append(entry)
        if not started:
            assert conductor.done
            break
        entry = started.popleft()

        def report(row: Mapping[str, object], index: int = entry.index) -> None:
            if not conductor.reported(index, row):
                raise StoppedError

        try:
            config = TrialConfig.model_validate(entry.config)
            run = evaluate_ladder if directory.has_points(entry.key) else trial
            run(config, TrialContext(directory, entry.index, sweep.name, report))
        except StoppedError:
            continue
        except ArithmeticError as error:
            conductor.failed(entry.index, Failure(message=str(error)))
        else:
            conductor.succeeded(entry.index)
    return conductor


def study_of(conductor: Conductor) -> optuna.Study:
    """Return the Optuna study of a conductor's searcher: what it was told."""
    searcher = conductor._proposals.searcher
    assert isinstance(searcher, OptunaSearcher)
    return searcher.study()


def stored_front(directory: RunDirectory) -> pa.Table:
    front = directory.read_front()
    assert front is not None
    return front


def searched(searcher: str, trials: int = 14) -> Sweep:
    return small_sweep(
        strategy={"searcher": searcher, "trials": trials, "population": 4},
        sweep={"space.splitting": [1, 2, 4], "feature_maps.regularization": {"low": 1e-6, "high": 1e-2}},
    )


@pytest.mark.parametrize("searcher", ["random", "nsga2", "tpe"])
@pytest.mark.parametrize("killed_after", [1, 6, 11])
def test_a_killed_launch_gives_the_same_points_as_an_undisturbed_one(
    tmp_path: Path, searcher: str, killed_after: int
) -> None:
    drive(searched(searcher), tmp_path / "whole")
    drive(searched(searcher), tmp_path / "killed", steps=killed_after)
    drive(searched(searcher), tmp_path / "killed")
    same_points(open_run(tmp_path / "killed").points(), open_run(tmp_path / "whole").points())


@pytest.mark.parametrize("searcher", ["random", "nsga2", "tpe"])
def test_a_raised_budget_gives_the_same_points_as_that_budget_from_the_start(
    tmp_path: Path, searcher: str
) -> None:
    drive(searched(searcher, 14), tmp_path / "whole")
    drive(searched(searcher, 5), tmp_path / "raised")
    drive(searched(searcher, 14), tmp_path / "raised")
    same_points(open_run(tmp_path / "raised").points(), open_run(tmp_path / "whole").points())


def test_grid_and_random_do_not_depend_on_the_order_of_arrival(tmp_path: Path) -> None:
    drive(searched("random"), tmp_path / "one")
    drive(searched("random"), tmp_path / "three", concurrent=3)
    same_points(open_run(tmp_path / "one").points(), open_run(tmp_path / "three").points())


def test_every_entry_is_on_storage_before_its_trial_starts(tmp_path: Path) -> None:
    def trial(config: TrialConfig, context: TrialContext) -> None:
        assert config.trial_key() in {entry.key for entry in context.directory.read_ledger()}
        noop_trial(config, context)

    drive(small_sweep(), tmp_path / "run", trial)


def test_a_trial_without_finite_points_fails_and_does_not_hang(tmp_path: Path) -> None:
    conductor = drive(searched("tpe"), tmp_path / "run", infinite_trial)
    failed = conductor.failed_trials()
    assert failed
    assert {e.config["space"]["splitting"] for e in failed} == {2}
    assert [str(failure) for failure in failed[0].failures] == ["no point has finite objectives"]


def states_of(path: Path) -> list[str]:
    return list(open_run(path).trials()["state"].astype(str))


def test_a_kill_between_the_points_and_the_ledger_does_not_make_a_trial_without_finite_points_finished(
    tmp_path: Path,
) -> None:
    drive(small_sweep(), tmp_path / "run", infinite_trial)
    directory = RunDirectory(tmp_path / "run")
    killed = directory.read_ledger()[1]
    directory.write_entry(killed.model_copy(update={"state": "proposed", "failures": []}))
    for path in ("run", "run"):
        assert states_of(tmp_path / path) == ["finished", "failed", "finished"]
        assert open_run(tmp_path / path).trials()["reason"][1] == "no point has finite objectives"
        conductor = drive(small_sweep(), tmp_path / path, infinite_trial)
        assert [entry.index for entry in conductor.failed_trials()] == [1]
        assert (conductor.monitor.finished_count, conductor.monitor.failed_count) == (2, 1)
    assert is_finished(small_sweep(), directory)


@pytest.mark.parametrize("compacted", [False, True])
def test_a_trial_without_finite_points_runs_again_with_retry_failed(tmp_path: Path, compacted: bool) -> None:
    drive(small_sweep(), tmp_path / "run", infinite_trial)
    directory = RunDirectory(tmp_path / "run")
    if compacted:
        directory.compact()
    assert not is_finished(small_sweep(), directory, retry_failed=True)
    before = directory.read_points().num_rows
    conductor = drive(small_sweep(), tmp_path / "run", retry_failed=True)
    assert conductor.failed_trials() == []
    assert states_of(tmp_path / "run") == ["finished"] * 3
    assert directory.read_points().num_rows == before
    assert directory.read_points(directory.read_ledger()[1].key, ["accuracy"])["accuracy"][0].as_py() > 0.5
    assert len(directory.storage.list("quarantine/points")) == 1


def test_a_trial_that_failed_for_good_but_has_finite_points_is_finished_for_everybody(tmp_path: Path) -> None:
    drive(small_sweep(), tmp_path / "run")
    directory = RunDirectory(tmp_path / "run")
    failed = transitions.given_up(directory.read_ledger()[1], Failure(message="its node was cut off"))
    directory.write_entry(failed)
    conductor = drive(small_sweep(), tmp_path / "run", retry_failed=True)
    assert conductor.failed_trials() == []
    assert conductor.monitor.finished_count == 3
    assert states_of(tmp_path / "run") == ["finished"] * 3


def test_a_trial_that_fails_at_the_same_epoch_is_given_up(tmp_path: Path) -> None:
    conductor = drive(small_sweep(retries=2), tmp_path / "run", failing_trial)
    assert [len(entry.failures) for entry in conductor.failed_trials()] == [3]


def test_failures_with_progress_between_them_do_not_count() -> None:
    entry, failure = transitions.new_entry(0, TrialConfig()), Failure(message="the node died")
    for epoch in range(10):
        entry = transitions.after_failure(entry, failure, epoch, retries=1)
        assert entry.state == "proposed"
    assert transitions.after_failure(entry, failure, 9, retries=1).state == "failed"


def test_a_trial_that_dies_after_its_points_were_written_is_finished(tmp_path: Path) -> None:
    def trial(config: TrialConfig, context: TrialContext) -> None:
        noop_trial(config, context)
        context.directory.write_checkpoint(config.trial_key(), 3, b"not deleted yet")
        raise ArithmeticError("died on the way out")

    conductor = drive(small_sweep(), tmp_path / "run", trial)
    assert conductor.failed_trials() == []
    assert conductor.directory.leftover_checkpoints() == set()
    assert all(entry.failures == [] for entry in conductor.directory.read_ledger())


@pytest.mark.parametrize("searcher", ["random", "tpe"])
def test_a_longer_ladder_is_evaluated_and_nothing_is_trained_again(tmp_path: Path, searcher: str) -> None:
    longer = {"search": {"epochs": 1}, "train": {"epochs": 2}, "ladder": {"threshold": [0.0, 0.05, 0.1]}}
    drive(searched(searcher), tmp_path / "run", steps=9)
    extended = Sweep(**searched(searcher).model_dump(exclude={"trial"}), trial=longer)
    assert not is_finished(extended, RunDirectory(tmp_path / "run"))
    epochs = open_run(tmp_path / "run").progress()
    trained = drive(extended, tmp_path / "run", steps=0)
    assert len(trained.monitor.extended) == len(
        open_run(tmp_path / "run").points(["trial_key"])["trial_key"].unique()
    )
    drive(extended, tmp_path / "run", steps=4)
    drive(extended, tmp_path / "run")
    points = open_run(tmp_path / "run").points()
    assert points.groupby("trial_key")["threshold"].apply(list).tolist() == [[0.0, 0.05, 0.1]] * 14
    after = open_run(tmp_path / "run").progress()
    assert len(after.merge(epochs, on=["trial_key", "step", "at"])) == len(epochs)
    assert is_finished(extended, RunDirectory(tmp_path / "run"))


def test_failed_trials_run_again_with_retry_failed(tmp_path: Path) -> None:
    drive(small_sweep(), tmp_path / "run", failing_trial)
    assert not is_finished(small_sweep(), RunDirectory(tmp_path / "run"), retry_failed=True)
    conductor = drive(small_sweep(), tmp_path / "run", retry_failed=True)
    assert conductor.failed_trials() == []
    assert len(open_run(tmp_path / "run").points()) == 6
    assert len(conductor.directory.read_ledger()[1].failures) == 3


def halved(trials: int = 20, search: int = 2) -> Sweep:
    return small_sweep(
        trial={"search": {"epochs": search}, "train": {"epochs": 9 - search}, "ladder": {"threshold": [0.0]}},
        sweep={"space.splitting": [1, 2, 4], "feature_maps.regularization": {"low": 1e-6, "high": 1e-2}},
        strategy={"searcher": "random", "trials": trials, "scheduler": "halving"},
    )


def quick(config: TrialConfig, context: TrialContext) -> None:
    write_records(config, context, 9, lambda step: None)


def test_halving_stops_most_trials_and_keeps_the_rest(tmp_path: Path) -> None:
    drive(halved(), tmp_path / "run", quick)
    states = open_run(tmp_path / "run").trials()["state"].astype(str).value_counts()
    assert states["stopped"] > states["finished"] > 0
    assert states.sum() == 20


@pytest.mark.parametrize("killed_after", [1, 13])
def test_halving_is_rebuilt_from_the_ledger(tmp_path: Path, killed_after: int) -> None:
    drive(halved(), tmp_path / "whole", quick)
    drive(halved(), tmp_path / "killed", quick, steps=killed_after)
    drive(halved(), tmp_path / "killed", quick)
    states = [list(open_run(tmp_path / name).trials()["state"].astype(str)) for name in ("whole", "killed")]
    assert states[0] == states[1]


NO_SEARCH = halved(search=0)  # no trial waits for the search of another


def report_first_epoch(conductor: Conductor, index: int, accuracy: float, hours_ahead: float = 0.0) -> bool:
    """Store and report the first epoch of a trial whose host has a clock that is ``hours_ahead``."""
    entry = conductor._running[index]
    context = TrialContext(conductor.directory, index, conductor.sweep.name)
    row = progress_row(TrialConfig.model_validate(entry.config), context, 1, 9)
    row |= {"accuracy": accuracy, "effective_macs": 1.0, "at": row["at"] + timedelta(hours=hours_ahead)}
    conductor.directory.write_progress(entry.key, [row])
    return conductor.reported(index, row)


def test_decisions_are_stored_when_they_are_made_and_not_made_again_whatever_clocks_say(
    tmp_path: Path,
) -> None:
    before = Conductor(NO_SEARCH, RunDirectory(tmp_path, create=True), Monitor())
    assert started(before)[:5] == [0, 1, 2, 3, 4]
    assert report_first_epoch(before, 0, accuracy=0.1, hours_ahead=1.0)  # nobody to compare it with yet
    for index in (1, 2):
        assert report_first_epoch(before, index, accuracy=0.5 + index / 10, hours_ahead=-index)
    assert not report_first_epoch(before, 3, accuracy=math.nan)
    entries = before.directory.read_ledger()
    decisions = [entry.extra.get("decisions", []) for entry in entries[:5]]
    assert [[(d["arrival"], d["epoch"], d["continues"]) for d in found] for found in decisions] == [
        [(0, 1, True)], [(1, 1, True)], [(2, 1, True)], [(3, 1, False)], []
    ]  # fmt: skip
    assert decisions[3][0]["values"] == [None, 1.0]

    for _ in range(2):  # kill after kill
        after = Conductor(NO_SEARCH, RunDirectory(tmp_path), Monitor())
        assert [entry.state for entry in after.directory.read_ledger()[:4]] == ["proposed"] * 3 + ["stopped"]
    assert started(after)[:3] == [0, 1, 2]
    assert after.reported(0, {"step": 1, "accuracy": 0.1, "effective_macs": 1.0})  # its process starts anew
    assert not report_first_epoch(after, 4, accuracy=0.2)
    assert after.directory.read_ledger()[4].extra["decisions"][0]["arrival"] == 4


def test_an_epoch_that_no_launch_has_heard_of_is_decided_once_and_stored(tmp_path: Path) -> None:
    before = Conductor(NO_SEARCH, RunDirectory(tmp_path, create=True), Monitor())
    started(before)
    for index, accuracy in enumerate((0.9, 0.8, 0.7)):
        report_first_epoch(before, index, accuracy)
    context = TrialContext(before.directory, 3, "test")
    entry = before._running[3]
    row = progress_row(TrialConfig.model_validate(entry.config), context, 1, 9) | {"accuracy": 0.1}
    before.directory.write_progress(entry.key, [row | {"effective_macs": 2.0}])  # and the kill comes here
    for _ in range(2):
        Conductor(NO_SEARCH, RunDirectory(tmp_path), Monitor())
        decided = before.directory.read_ledger()[3]
        assert (decided.state, len(decided.extra["decisions"])) == ("stopped", 1)


def test_halving_is_rebuilt_in_runs_whose_ledgers_hold_no_decisions(tmp_path: Path) -> None:
    drive(halved(), tmp_path / "whole", quick)
    drive(halved(), tmp_path / "old", quick, steps=9)
    directory = RunDirectory(tmp_path / "old")
    for entry in directory.read_ledger():
        directory.write_entry(entry.model_copy(update={"extra": {}}))
    drive(halved(), tmp_path / "old", quick)
    assert states_of(tmp_path / "old") == states_of(tmp_path / "whole")


@pytest.mark.parametrize("searcher", ["nsga2", "tpe"])
def test_stopped_trials_are_never_told_to_the_searcher(tmp_path: Path, searcher: str) -> None:
    content = halved(12).model_dump(mode="json")
    content["strategy"] |= {"searcher": searcher, "population": 2}
    conductor = drive(Sweep.from_mapping(content), tmp_path / "run", quick)
    trials = study_of(conductor).get_trials(deepcopy=False)
    complete = [trial for trial in trials if trial.state.name == "COMPLETE"]
    assert len(complete) == len(open_run(tmp_path / "run").points())


def test_the_front_is_refreshed_at_the_start_and_at_most_once_a_second(tmp_path: Path) -> None:
    now = [0.0]
    sweep = small_sweep()
    directory = RunDirectory(tmp_path, create=True)
    conductor = Conductor(sweep, directory, Monitor(clock=lambda: now[0]))

    def finish_one() -> None:
        entry = conductor.next()
        assert entry is not None
        noop_trial(TrialConfig.model_validate(entry.config), TrialContext(directory, entry.index, sweep.name))
        conductor.succeeded(entry.index)

    def in_front() -> set[int]:
        return set(stored_front(directory)["trial_index"].to_pylist())

    finish_one()
    assert in_front() == {0}
    directory.storage.remove("front.parquet")
    finish_one()
    assert directory.read_front() is None  # too early
    now[0] = 1.0
    conductor.keep_front()
    assert stored_front(directory).equals(open_run(tmp_path).directory.read_front())
    assert set(open_run(tmp_path).front()["point"]) == set(stored_front(directory)["point"].to_pylist())


def test_points_are_compacted_while_the_sweep_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(front_keeper, "COMPACT_EVERY", 3)
    monkeypatch.setattr(front_keeper, "REFRESH_EVERY_S", 0.0)
    drive(searched("random", 8), tmp_path / "run", steps=5)
    assert pq.read_table(tmp_path / "run/points.parquet")["trial_index"].unique().to_pylist() == [0, 1, 2]
    drive(searched("random", 8), tmp_path / "run")
    assert len(open_run(tmp_path / "run").trials().query("state == 'finished'")) == 8
    (tmp_path / "run/points").rename(tmp_path / "gone")
    assert open_run(tmp_path / "run").points()["trial_index"].nunique() >= 6


def test_the_next_launch_recomputes_a_front_that_a_kill_left_outdated(tmp_path: Path) -> None:
    drive(small_sweep(), tmp_path / "run", steps=2)
    directory = RunDirectory(tmp_path / "run")
    directory.storage.remove("front.parquet")
    drive(small_sweep(), tmp_path / "run")
    stored = stored_front(directory)
    assert set(open_run(tmp_path / "run").front()["point"]) == set(stored["point"].to_pylist())


SHARED: dict[str, object] = {
    "sweep": {"space.splitting": [1, 2], "feature_maps.regularization": [0.0, 1e-4, 1e-3]},
    "strategy": {"searcher": "grid"},
}


def started(conductor: Conductor) -> list[int]:
    """Start all trials that can start now, and return their indices."""
    return [entry.index for entry in iter(conductor.next, None)]


def conductor_of(path: Path, **fields: object) -> Conductor:
    return Conductor(small_sweep(**(SHARED | fields)), RunDirectory(path, create=True), Monitor())


def test_trials_that_share_a_search_wait_for_the_one_that_runs_it(tmp_path: Path) -> None:
    conductor = conductor_of(tmp_path)
    assert started(conductor) == [0, 3]
    assert len(conductor.directory.read_ledger()) == 6
    conductor.reported(0, {"phase": "search", "step": 1})
    assert started(conductor) == []
    conductor.reported(0, {"phase": "train", "step": 2})
    assert started(conductor) == [1, 2]
    conductor.failed(3, Failure(message="it died while it searched"))
    assert started(conductor) == [3]
    conductor.reported(3, {"phase": "train", "step": 2})
    assert started(conductor) == [4, 5]


@pytest.mark.parametrize(("epochs", "then"), [(1, [0, 3]), (2, [0, 1, 2, 3])])
def test_after_a_kill_no_trial_waits_for_a_search_that_is_finished(
    tmp_path: Path, epochs: int, then: list[int]
) -> None:
    before = conductor_of(tmp_path)
    assert started(before) == [0, 3]
    entry = before._entries[0]
    killed = TrialContext(before.directory, 0, before.sweep.name)
    config = TrialConfig.model_validate(entry.config)
    rows = [progress_row(config, killed, step, 3) for step in range(1, epochs + 1)]
    before.directory.write_progress(entry.key, rows)
    assert started(conductor_of(tmp_path)) == then


def finetuned(path: Path, **block: object) -> Conductor:
    trial = {"search": {"epochs": 1}, "train": {"epochs": 2}, "finetune": {"epochs": 2, **block}}
    return conductor_of(path, trial=trial, sweep={"finetune.regularization": [0.0, 0.1, 1.0]})


def epochs(conductor: Conductor, index: int, *names: str) -> None:
    """Report epochs, such as ``train 1/2``."""
    for name in names:
        phase, fraction = name.split()
        epoch, count = map(int, fraction.split("/"))
        conductor.reported(index, {"phase": phase, "epoch": epoch, "epochs": count})


def test_trials_that_share_a_training_wait_for_the_one_that_runs_it(tmp_path: Path) -> None:
    conductor = finetuned(tmp_path)
    assert started(conductor) == [0]
    epochs(conductor, 0, "search 1/1", "train 1/2")
    assert started(conductor) == []
    epochs(conductor, 0, "train 2/2")
    assert started(conductor) == [1, 2]


def test_each_lambda_of_a_path_waits_for_the_smaller_ones(tmp_path: Path) -> None:
    conductor = finetuned(tmp_path, **{"from": "previous"})
    assert started(conductor) == [0]
    epochs(conductor, 0, "search 1/1", "train 1/2", "train 2/2", "finetune 1/2")
    assert started(conductor) == []
    epochs(conductor, 0, "finetune 2/2")
    assert started(conductor) == [1]
    epochs(conductor, 1, "search 1/1", "train 2/2", "finetune 1/2", "finetune 2/2", "finetune 1/2")
    assert started(conductor) == []
    epochs(conductor, 1, "finetune 2/2")
    assert started(conductor) == [2]


def test_after_a_kill_no_trial_waits_for_stages_that_are_finished(tmp_path: Path) -> None:
    before = finetuned(tmp_path, **{"from": "previous"})
    assert started(before) == [0]
    entry = before._entries[0]
    config = TrialConfig.model_validate(entry.config)
    killed = TrialContext(before.directory, 0, before.sweep.name)
    before.directory.write_progress(
        entry.key, [progress_row(config, killed, step, 5) for step in range(1, 5)]
    )
    again = finetuned(tmp_path, **{"from": "previous"})
    assert started(again) == [0]
    epochs(again, 0, "finetune 2/2")
    assert started(again) == [1]


def test_trials_of_different_searches_do_not_wait(tmp_path: Path) -> None:
    in_search = {"search": {"epochs": 1}, "train": {"epochs": 2}, "feature_maps": {"in_search": True}}
    assert started(conductor_of(tmp_path / "in search", trial=in_search)) == list(range(6))
    no_search = {"search": {"epochs": 0}, "train": {"epochs": 2}}
    assert started(conductor_of(tmp_path / "none", trial=no_search)) == list(range(6))


def test_an_adaptive_searcher_does_not_propose_ahead_of_a_search(tmp_path: Path) -> None:
    sweep = {"feature_maps.regularization": {"low": 1e-6, "high": 1e-2, "log": True}}
    conductor = conductor_of(tmp_path, sweep=sweep, strategy={"searcher": "tpe", "trials": 8})
    assert started(conductor) == [0]
    assert len(conductor.directory.read_ledger()) == 2
    conductor.reported(0, {"phase": "train", "step": 2})
    assert started(conductor) == list(range(1, 8))


def test_a_trial_whose_architecture_violates_a_constraint_is_not_run_again(tmp_path: Path) -> None:
    def refused(config: TrialConfig, context: TrialContext) -> None:
        if config.space.splitting == 2:
            raise ArithmeticError("the architecture must have macs <= 10, but got 20")
        noop_trial(config, context)

    sweep = small_sweep(constraints=["macs <= 1e9"])
    conductor = conductor_of_sweep(sweep, tmp_path)
    while (entry := conductor.next()) is not None:
        try:
            refused(
                TrialConfig.model_validate(entry.config),
                TrialContext(conductor.directory, entry.index, sweep.name),
            )
            conductor.succeeded(entry.index)
        except ArithmeticError as error:
            conductor.infeasible(entry.index, str(error))
    assert conductor.done
    assert conductor.failed_trials() == []
    assert conductor.monitor.settled == 3
    trials = open_run(tmp_path).trials()
    assert trials["state"].astype(str).tolist() == ["finished", "infeasible", "finished"]
    assert trials["reason"].tolist()[1] == "the architecture must have macs <= 10, but got 20"
    assert conductor_of_sweep(sweep, tmp_path).next() is None


def conductor_of_sweep(sweep: Sweep, path: Path) -> Conductor:
    directory = RunDirectory(path, create=True)
    directory.write_sweep(sweep.model_dump(mode="json"), {})
    return Conductor(sweep, directory, Monitor())


@pytest.mark.parametrize("searcher", ["nsga2", "tpe"])
def test_every_rung_is_told_with_its_distance_beyond_each_constraint(tmp_path: Path, searcher: str) -> None:
    content = searched(searcher).model_dump(mode="json") | {"constraints": ["macs <= 1e7", "accuracy >= 0.6"]}
    sweep = Sweep.from_mapping(content)
    conductor = drive(sweep, tmp_path / "run")
    trials = study_of(conductor).get_trials(deepcopy=False)
    points = open_run(tmp_path / "run").points()
    assert len(trials) == len(points)
    expected = {
        (round(m - 1e7), round(0.6 - a, 9)) for m, a in zip(points["macs"], points["accuracy"], strict=True)
    }
    violations = [tuple(trial.constraints.values()) for trial in trials]
    assert {(round(macs), round(accuracy, 9)) for macs, accuracy in violations} == expected
    assert any(macs > 0 for macs, _ in violations)
    front = stored_front(conductor.directory).to_pandas()
    assert (front["macs"] <= 1e7).all()
    assert (front["accuracy"] >= 0.6).all()
    drive(sweep, tmp_path / "again", steps=5)
    drive(sweep, tmp_path / "again")
    same_points(open_run(tmp_path / "again").points(), points)


def test_a_fault_of_the_storage_costs_a_trial_no_attempt_and_ends_the_launch(tmp_path: Path) -> None:
    sweep = small_sweep(retries=0)
    directory = RunDirectory(tmp_path / "run", create=True)
    directory.write_sweep(sweep.model_dump(mode="json"), {})
    conductor = Conductor(sweep, directory, Monitor())
    entry = conductor.next()
    assert entry is not None
    conductor.failed(
        entry.index, Failure(kind="StorageError", message="points/x: [Errno 28] No space left on device")
    )
    assert isinstance(conductor.failure, OSError)
    assert not conductor.done
    assert directory.read_ledger() == [entry]
    drive(sweep, tmp_path / "run")
    assert len(directory.finished_keys()) == 3


def test_infeasible_trials_run_when_the_constraints_are_relaxed(tmp_path: Path) -> None:
    directory = RunDirectory(tmp_path / "run", create=True)
    for constraints, state in ((["macs <= 10"], "infeasible"), ([], "finished")):
        sweep = small_sweep(constraints=constraints)
        directory.write_sweep(sweep.model_dump(mode="json"), {})
        assert not is_finished(sweep, directory)
        if constraints:
            conductor = Conductor(sweep, directory, Monitor())
            while (entry := conductor.next()) is not None:
                conductor.infeasible(entry.index, "too large")
        else:
            drive(sweep, tmp_path / "run")
        assert set(open_run(directory).trials()["state"].astype(str)) == {state}
        assert is_finished(sweep, directory)
