"""The plan of a launch, and the faults that are found before anything starts."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator import Sweep, SweepError
from orchestrator.preflight.plan import describe, make_plan
from orchestrator.sweep.differences import differences, in_terms_of_run
from results import RunDirectory
from tests.results.rows import key_of, point_rows

NODES = [{"CPU": 4.0, "GPU": 0.0}]


def make_sweep(**fields: object) -> Sweep:
    return Sweep(**{"name": "test", "sweep": {"space.splitting": [1, 2, 4]}} | fields)


def test_the_plan_counts_trials_points_and_epochs() -> None:
    sweep = make_sweep(trial={"search": {"epochs": 2}, "train": {"epochs": 3}})
    plan = make_plan(sweep, None, NODES)
    assert (plan.trials, plan.to_run, plan.rungs, plan.epochs, plan.at_a_time) == (3, 3, 5, 15, 3)


def test_trials_that_differ_only_in_training_are_planned_with_one_search() -> None:
    lambdas = {"feature_maps.regularization": [0.0, 0.01, 0.1], "space.splitting": [1, 2, 4]}
    epochs: dict[str, object] = {"search": {"epochs": 10}, "train": {"epochs": 1}}
    plan = make_plan(make_sweep(trial=epochs, sweep=lambdas), None, NODES)
    assert (plan.trials, plan.searches, plan.epochs) == (9, 3, 3 * 10 + 9)
    within = epochs | {"feature_maps": {"in_search": True}}
    assert make_plan(make_sweep(trial=within, sweep=lambdas), None, NODES).searches == 9


def test_a_note_says_when_the_order_of_arrival_matters() -> None:
    notes = make_plan(make_sweep(strategy={"searcher": "tpe"}), None, NODES).notes
    assert any("order of arrival" in note for note in notes)
    alone = make_sweep(strategy={"searcher": "tpe"}, resources={"max_concurrent": 1})
    assert make_plan(alone, None, NODES).notes == []


def test_missing_data_is_named_before_anything_starts(tmp_path: Path) -> None:
    sweep = make_sweep(trial={"data": {"name": "parquet", "path": str(tmp_path / "none.parquet")}})
    with pytest.raises(SweepError) as caught:
        make_plan(sweep, None, NODES)
    assert str(tmp_path / "none.parquet") in str(caught.value)


def test_images_that_are_too_small_for_the_network_are_refused() -> None:
    sweep = make_sweep(trial={"space": {"name": "attention", "patch_size": 3, "channels": 8}})
    with pytest.raises(SweepError, match="`patch_size` must divide the image's 8x8 pixels"):
        make_plan(sweep, None, NODES)


def test_a_sweep_with_another_budget_or_more_values_is_the_same_sweep() -> None:
    stored = make_sweep().model_dump(mode="json")
    more = make_sweep(
        sweep={"space.splitting": [1, 2, 4]}, strategy={"trials": 2}, retries=5,
        resources={"max_concurrent": 1},
    )  # fmt: skip
    assert differences(stored, more) == []
    older = {name: value for name, value in stored.items() if name != "constraints"}
    assert differences(older, more) == []
    less = make_sweep(sweep={"space.splitting": [1, 2]}).model_dump(mode="json")
    assert differences(less, make_sweep()) == []


def test_a_different_sweep_is_refused_with_the_fields_that_differ(tmp_path: Path) -> None:
    directory = RunDirectory(tmp_path / "run")
    directory.write_sweep(make_sweep().model_dump(mode="json"), {})
    other = make_sweep(
        seed=1,
        trial={"train": {"epochs": 7}, "seed": 0},
        sweep={"space.splitting": [1, 2], "search.epochs": [3]},
        objectives={"accuracy": "max"},
    )
    with pytest.raises(SweepError) as caught:
        make_plan(other, directory, NODES)
    named = [line.partition("different sweep: ")[2] for line in caught.value.lines]
    assert "`trial.train.epochs` is 20 there, but 7 here" in named
    assert "`seed` is 0 there, but 1 here" in named
    assert "`sweep.space.splitting` is [1, 2, 4] there, but [1, 2] here" in named
    assert "`sweep.search.epochs` is not given there, but [3] here" in named
    assert "`objectives.macs` is 'min' there, but not given here" in named


def test_relaxed_constraints_are_no_different_sweep() -> None:
    stored = make_sweep(constraints=["macs <= 1e6", "accuracy >= 0.5"]).model_dump(mode="json")
    for same in (["macs <= 2e6", "accuracy >= 0.5"], ["accuracy >= 0.4"], []):
        assert differences(stored, make_sweep(constraints=same)) == []
    for other in (["macs <= 1e5", "accuracy >= 0.5"], ["accuracy <= 0.9"], ["params <= 10"]):
        assert len(differences(stored, make_sweep(constraints=other))) == 1


def test_the_file_with_the_shorter_ladder_continues_the_run_of_the_longer_one(tmp_path: Path) -> None:
    def ladder(*threshold: float) -> Sweep:
        return make_sweep(trial={"ladder": {"threshold": threshold, "weight_bits": [32]}})

    directory = RunDirectory(tmp_path / "run")
    directory.write_sweep(ladder(0.0, 0.1, 0.2).model_dump(mode="json"), {})
    for given, continued in (((0.0, 0.1), (0.0, 0.1, 0.2)), ((0.0, 0.05, 0.1, 0.2), (0.0, 0.05, 0.1, 0.2))):
        sweep = in_terms_of_run(ladder(*given), directory)
        assert sweep.trial.ladder.threshold == continued
        assert make_plan(sweep, directory, NODES).rungs == len(continued)
    with pytest.raises(SweepError, match="different sweep"):
        make_plan(in_terms_of_run(ladder(0.3), directory), directory, NODES)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"objectives": {"accuracy": "max", "entropy_bytes": "min"}}, r"feature_map_bits` is \[32\]"),
        ({"objectives": {"latency_1_ms": "min"}}, "`trial.ladder.latency` is false"),
        ({"constraints": ["latency_64_ms <= 3"]}, "`trial.ladder.latency` is false"),
        ({"objectives": {"search_peak_bytes": "min"}}, "`resources.gpus_per_worker` is 0"),
    ],
)
def test_what_no_trial_measures_is_neither_an_objective_nor_bounded(
    fields: dict[str, object], reason: str
) -> None:
    with pytest.raises(SweepError, match=reason):
        make_plan(make_sweep(**fields), None, NODES)


def test_what_the_ladder_measures_may_be_an_objective() -> None:
    ladder = {"latency": True, "feature_map_bits": [32, 8]}
    sweep = make_sweep(trial={"ladder": ladder}, objectives={"entropy_bytes": "min", "latency_1_ms": "min"})
    assert make_plan(sweep, None, NODES).trials == 3


def test_a_constraint_that_no_network_can_satisfy_is_refused() -> None:
    refused = r"a network must have macs <= 10, but the least that a search can find is [\d,]+"
    with pytest.raises(SweepError, match=refused):
        make_plan(make_sweep(constraints=["macs <= 10"]), None, NODES)


def test_a_note_counts_the_sizes_of_network_that_cannot_satisfy_a_constraint() -> None:
    sweep = make_sweep(sweep={"space.channels": [4, 64]}, constraints=["flops <= 5e5"])
    [note] = [note for note in make_plan(sweep, None, NODES).notes if "not searched" in note]
    assert note.startswith("1 of 2 sizes of network are not searched: a network must have flops <= 500000")


@pytest.mark.parametrize(
    ("halving", "training", "said"),
    [
        ({"first_epochs": 2, "eta": 2}, {}, "compares after epoch 4, 8 (search: 1 to 3, training: 4 to 9)"),
        ({"objectives": {"expected_macs": "min"}}, {}, "compares after epoch 1, 3 ("),
        ({"objectives": {"accuracy": "max"}}, {}, "compares after epoch 1, 3, 9 ("),
        ({"objectives": {"validation_accuracy": "max"}}, {}, "compares after epoch 1, 3 ("),
        ({"objectives": {"validation_accuracy": "max"}}, {"validation_share": 0.1}, "compares after epoch 1, 3, 9 ("),
        ({"first_epochs": 4, "objectives": {"expected_macs": "min"}}, {}, "never compares, and stops nothing"),
    ],
)  # fmt: skip
def test_a_note_names_the_epochs_at_which_halving_compares(
    halving: dict[str, object], training: dict[str, float], said: str
) -> None:
    trial = {"search": {"epochs": 3}, "train": {"epochs": 6, **training}}
    sweep = make_sweep(trial=trial, strategy={"scheduler": "halving", "halving": halving})
    assert any(said in note for note in make_plan(sweep, None, NODES).notes)


def test_the_plan_says_how_long_it_takes_by_the_trials_that_have_finished(tmp_path: Path) -> None:
    sweep = make_sweep(sweep={"space.splitting": [1, 2, 4], "feature_maps.regularization": [0.0, 0.1]})
    directory = RunDirectory(tmp_path / "run", create=True)
    directory.write_sweep(sweep.model_dump(mode="json"), {})
    assert make_plan(sweep, directory, NODES).seconds is None
    directory.write_points(key_of(0), point_rows(0, search_s=60.0, train_s=600.0, ladder_s=40.0))
    plan = make_plan(sweep, directory, NODES)
    assert plan.seconds == pytest.approx((3 * 60 + 6 * 640) / 4)
    assert any("16 min 45 s if trials take as long as" in line for line in describe(plan))
