"""Sweep files: how they are read, and their faults: all at once, one line each."""

from __future__ import annotations

import json
import pickle
import re
from pathlib import Path

import pytest

from orchestrator import Sweep, SweepError
from orchestrator.preflight.placement import this_machine
from orchestrator.preflight.plan import make_plan
from orchestrator.searchers.proposals import make_searcher
from orchestrator.sweep import combinations
from orchestrator.sweep.dimensions import as_text

SWEPT = {"space.splitting": [1, 2, 4]}


def faults(**fields: object) -> list[str]:
    with pytest.raises(SweepError) as caught:
        Sweep(**{"name": "test", "sweep": SWEPT} | fields)
    assert all("\n" not in line for line in caught.value.lines)
    return caught.value.lines


def from_text(tmp_path: Path, text: str, overrides: tuple[str, ...] = ()) -> Sweep:
    path = tmp_path / "sweep.yaml"
    path.write_text(text)
    return Sweep.from_yaml(path, overrides)


def test_only_name_and_sweep_are_required() -> None:
    sweep = Sweep(name="test", sweep=SWEPT)
    assert sweep.budget == 3
    assert sweep.maximize == ["accuracy"]
    assert sweep.minimize == ["macs", "memory_bytes"]


def test_a_number_with_exponent_and_no_dot_is_a_number(tmp_path: Path) -> None:
    sweep = from_text(
        tmp_path,
        "name: a\ntrial: {search: {learning_rate: 1e-2}}\n"
        "sweep: {feature_maps.regularization: {low: 1e-6, high: 1E-3, log: true}}",
    )
    assert sweep.trial.search.learning_rate == 0.01
    assert sweep.dimensions[0].at(0.0) == pytest.approx(1e-6)
    assert sweep.dimensions[0].at(1.0) == pytest.approx(1e-3)


def test_the_seed_is_that_of_every_trial_unless_trial_seed_is_given() -> None:
    assert Sweep(name="a", sweep=SWEPT, seed=7).trial.seed == 7
    assert Sweep(name="a", sweep=SWEPT, seed=7, trial={"seed": 3}).trial.seed == 3


def test_a_stored_sweep_comes_back_equal() -> None:
    sweep = Sweep(name="a", seed=5, sweep=SWEPT | {"train.epochs": {"low": 2, "high": 8}})
    assert Sweep.from_mapping(sweep.model_dump(mode="json")) == sweep


def test_overrides_set_values_anywhere(tmp_path: Path) -> None:
    overrides = ("strategy.trials=2", "sweep.space.splitting=[1, 2]", "trial.train.epochs=3")
    sweep = from_text(tmp_path, "name: a\nsweep: {space.splitting: [1]}", overrides)
    assert sweep.budget == 2
    assert sweep.trial.train.epochs == 3


@pytest.mark.parametrize("text", ["nonsense", "=3", "name.x=3"])
def test_an_invalid_override_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(SweepError):
        from_text(tmp_path, "name: a\nsweep: {space.splitting: [1]}", (text,))


def test_every_fault_of_a_file_is_reported_at_once() -> None:
    lines = faults(
        name="a b",
        seeed=1,
        objectives={"acuracy": "max"},
        trial={"space": {"cells": "many", "node": 4}, "search": {"epochs": -1}},
        sweep={"space.splittin": [1], "train.epochs": {"low": 9, "high": 2}, "space.nodes": []},
        strategy={"searcher": "gird"},
        resources={"workers": 0},
    )
    text = "\n".join(lines)
    for part in [
        "`name` must match pattern",
        "unknown key `seeed`; did you mean `seed`?",
        "no numeric column `acuracy`; did you mean `accuracy`?",
        "`trial.space.cells` must be a valid integer",
        "unknown key `trial.space.node`; did you mean `nodes`?",
        "`trial.search.epochs` must be greater than or equal to 0, but got -1",
        "unknown path `sweep.space.splittin`; did you mean `space.splitting`?",
        "`sweep.train.epochs` must have low < high, but got low=9, high=2",
        "`sweep.space.nodes` must name at least one value, but got []",
        "`strategy.searcher` must be 'grid', 'random', 'nsga2' or 'tpe', but got 'gird'",
        "`resources.workers` must be greater than 0, but got 0",
    ]:
        assert part in text
    assert len(lines) == 11


def test_a_splitting_that_does_not_divide_is_one_line_for_all_combinations() -> None:
    lines = faults(sweep={"space.splitting": [1, 2, 3], "space.channels": [8, 16, 24]})
    assert lines == [
        "sweep: `splitting` must divide the 4 concatenated nodes, but got splitting=3 "
        "(with space.splitting=3, space.channels=8; 3 of 9 combinations of sizes)"
    ]


def test_many_impossible_sizes_are_reported_in_a_few_lines() -> None:
    lines = faults(
        trial={"space": {"output_node": "channel_groups"}},
        sweep={"space.channels": {"low": 3, "high": 300}, "space.splitting": {"low": 1, "high": 64}},
    )
    assert len(lines) == 6
    assert "more rules are violated by other sizes" in lines[-1]


def test_every_width_that_a_growth_range_can_round_to_is_checked() -> None:
    trial = {"space": {"output_node": "channel_groups", "splitting": 2}}
    assert any("width of 9 channels" in line for line in faults(
        trial=trial, sweep={"space.width_growth": {"low": 1.0, "high": 1.2}}
    ))  # fmt: skip
    Sweep(name="a", trial=trial, sweep={"space.width_growth": {"low": 1.0, "high": 1.01}})


@pytest.mark.parametrize(
    ("swept", "line"),
    [
        ({"space.splitting": ["two"]}, "`sweep.space.splitting[0]` must be a valid integer"),
        ({"space.splitting": 2}, "`sweep.space.splitting` must be a list"),
        ({"space.splitting": [1, 1]}, "must not name a value twice"),
        ({"space.output_node": {"low": 1, "high": 2}}, "`sweep.space.output_node` is not a number"),
        ({"space.output_node": ["concatenate"]}, "`sweep.space.output_node[0]` must be 'concat'"),
        ({"train.epochs": {"low": 1}}, "`sweep.train.epochs.high` must be given"),
        ({"train.epochs": {"low": 1, "hihg": 2}}, "did you mean `high`?"),
        ({"train.epochs": {"low": 1, "high": 4, "int": False}}, "must be whole numbers"),
        ({"train.epochs": {"low": 1, "high": 4, "step": 0}}, "must be greater than 0, but got 0"),
        ({"feature_maps.regularization": {"low": 0, "high": 1, "log": True}}, "low > 0 with log: true"),
        ({"feature_maps.regularization": {"low": "x", "high": 1}}, "must be a valid number"),
        ({"ladder.threshold": [0.1]}, "defines rungs, which need no trials of their own"),
        ({"space": [{}]}, "unknown path `sweep.space`"),
        ({}, "`sweep` must"),
    ],
)
def test_a_fault_in_a_dimension_is_named(swept: dict[str, object], line: str) -> None:
    assert any(line in fault for fault in faults(sweep=swept))


def test_a_grid_needs_a_finite_number_of_values() -> None:
    lines = faults(
        sweep={"feature_maps.regularization": {"low": 0.1, "high": 1}}, strategy={"searcher": "grid"}
    )
    assert lines == [
        "a grid must have lists or ranges with a step, but `sweep.feature_maps.regularization` is a range from "
        "0.1 to 1.0"
    ]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("name: [", "line 1: must be YAML"),
        ("- 1", "must be a mapping of keys to values, but got list"),
        ("", "but got an empty file"),
        ("name: a\nname: b", "line 2: must be YAML, but the key `name` is given twice"),
        ("1: 2", "unknown key `1`"),
    ],
)
def test_a_file_that_does_not_contain_a_sweep_is_refused(tmp_path: Path, text: str, line: str) -> None:
    with pytest.raises(SweepError) as caught:
        from_text(tmp_path, text)
    assert any(line in fault for fault in caught.value.lines)


def test_a_file_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(SweepError, match=r"none\.yaml: No such file"):
        Sweep.from_yaml(tmp_path / "none.yaml")


def test_the_error_survives_pickling() -> None:
    assert pickle.loads(pickle.dumps(SweepError(["a", "b"]))).lines == ["a", "b"]  # noqa: S301


def test_ranges_count_and_map_onto_their_bounds() -> None:
    sweep = Sweep(
        name="a",
        sweep={
            "train.epochs": {"low": 1, "high": 7, "step": 3},
            "search.epochs": {"low": 1, "high": 100, "log": True},
            "train.drop_path": {"low": 0.0, "high": 0.3, "step": 0.1},
        },
    )
    stepped, log, fraction = sweep.dimensions
    assert [stepped.value(i) for i in range(3)] == [1, 4, 7]
    assert (log.at(0.0), log.at(0.9999999)) == (1, 100)
    assert [fraction.value(i) for i in range(4)] == [0.0, 0.1, 0.2, 0.3]
    assert sweep.combinations is None


def test_an_unknown_key_hides_no_other_fault_of_its_block() -> None:
    fields = {"space": {"chanels": 8, "splitting": 3}, "ladder": {"weight_bits": [12]}}
    with pytest.raises(SweepError) as caught:
        Sweep(name="a", trial=fields, sweep={"seed": [0, 1]})
    faults = str(caught.value)
    assert "unknown key `trial.space.chanels`; did you mean `channels`?" in faults
    assert "`splitting` must divide the 4 concatenated nodes, but got splitting=3" in faults
    assert "`weight_bits` must be 2 to 8, or 32 for off, but got 12" in faults
    assert len(faults.splitlines()) == 3


def test_parts_of_a_trial_that_do_not_fit_together_are_one_fault() -> None:
    trial = {"space": {"channels": 6}, "search": {"algorithm": "pc_darts"}}
    assert faults(trial=trial) == ["trial: `partial_channels` must divide the node width 6, but got 4"]


def test_a_faulty_value_of_a_list_is_one_fault() -> None:
    assert faults(trial={"ladder": {"threshold": [-0.1]}}) == [
        "`trial.ladder.threshold[0]` must be greater than or equal to 0, but got -0.1"
    ]
    (line,) = faults(trial={"ladder": {"threshold": []}})
    assert "at least 1 item" in line


def test_the_plan_names_tap_patterns_that_match_no_feature_map() -> None:
    sweep = Sweep(name="test", trial={"feature_maps": {"taps": ["*.qeury"]}}, sweep={"seed": [0]})
    with pytest.raises(
        SweepError, match=r"must match a feature map, but got '\*\.qeury'; the nearest tap is"
    ):
        make_plan(sweep, None, [{"CPU": 1.0}])


@pytest.mark.parametrize(
    ("constraint", "line"),
    [
        ("macs < 3e8", "must be COLUMN <= NUMBER or COLUMN >= NUMBER, but got 'macs < 3e8'"),
        ("mac <= 3e8", "did you mean `macs`"),
        ("genotype <= 3", "genotype"),
    ],
)
def test_a_constraint_that_does_not_bound_a_numeric_column_is_refused(constraint: str, line: str) -> None:
    with pytest.raises(SweepError, match=re.escape(line)) as error:
        Sweep(name="test", sweep={"space.splitting": [1, 2]}, constraints=[constraint])
    assert len(error.value.lines) == 1


def test_constraints_are_read_as_bounds() -> None:
    sweep = Sweep(name="test", sweep={"space.splitting": [1, 2]}, constraints=["macs <= 3e8"])
    assert [str(bound) for bound in sweep.bounds] == ["macs <= 3e+08"]
    assert Sweep.from_mapping(sweep.model_dump(mode="json")) == sweep


# --- fields that are swept together ---

READINGS = "space.output_node, space.splitting"


def test_fields_swept_together_have_only_the_given_combinations() -> None:
    together = {READINGS: [["concat", 1], ["node_groups", 2], ["partial", 4]], "seed": [0, 1]}
    sweep = Sweep(name="a", sweep=together, strategy={"searcher": "grid"})
    searcher = make_searcher(sweep)
    spaces = [sweep.config(assignment).space for assignment in searcher.candidates(0)]
    found = [(space.output_node, space.splitting) for space in spaces]
    assert found == [("concat", 1)] * 2 + [("node_groups", 2)] * 2 + [("partial", 4)] * 2
    assert make_plan(sweep, None, this_machine()).searches == 6


def test_values_of_fields_swept_together_are_recognized_in_the_ledger() -> None:
    sweep = Sweep(name="a", sweep={READINGS: [["concat", 1], ["partial", 4]]}, strategy={"searcher": "grid"})
    for assignment in make_searcher(sweep).candidates(0):
        stored = json.loads(json.dumps(sweep.config(assignment).model_dump(mode="json")))
        assert as_text(sweep.assignment(stored)) == as_text(assignment)


@pytest.mark.parametrize(
    ("swept", "rule"),
    [
        ({READINGS: [["concat"]]}, "must be a list of 2 values, but got"),
        ({READINGS: "concat"}, "must be a list with a value for each of the 2 paths, but got 'concat'"),
        ({READINGS: [["concat", 0]]}, "must be greater than or equal to 1|greater than 0"),
        ({READINGS: [["node_groups", 3]]}, "`splitting` must divide the 4 concatenated nodes"),
        ({READINGS: [["concat", 1], ["concat", 1]]}, "must not name a combination twice"),
        ({READINGS: [["concat", 1]], "space.splitting": [1, 2]}, "must not name space.splitting twice"),
        ({"space.output_node, space.spliting": [["concat", 1]]}, "unknown path .* did you mean"),
    ],
)
def test_faults_of_fields_swept_together_are_named(swept: dict[str, object], rule: str) -> None:
    assert any(re.search(rule, line) for line in faults(sweep=swept)), faults(sweep=swept)


@pytest.mark.parametrize(
    ("trial", "field"),
    [
        ({"seed": 2**63}, "trial.seed"),
        ({"train": {"epochs": 2**31}}, "trial.train.epochs"),
        ({"space": {"channels": 2**31}}, "trial.space.channels"),
        ({"space": {"width_growth": float("inf")}}, "trial.space.width_growth"),
        ({"train": {"gradient_clip": float("nan")}}, "trial.train.gradient_clip"),
        ({"ladder": {"threshold": [0.0, float("inf")]}}, "trial.ladder.threshold"),
    ],
)
def test_numbers_that_the_tables_cannot_hold_are_refused(trial: dict[str, object], field: str) -> None:
    with pytest.raises(SweepError, match=rf"^`{field}(\[\d\])?` must be") as caught:
        Sweep(name="test", trial=trial, sweep={"space.splitting": [1]})
    assert len(caught.value.lines) == 1


@pytest.mark.parametrize(
    "swept",
    [
        {"feature_maps.regularization": [0, float("inf")]},
        {"feature_maps.regularization": {"low": 0, "high": 1, "step": float("inf")}},
        {"space.width_growth": {"low": 1, "high": float("nan")}},
        {"seed": [2**63]},
        {"train.epochs, search.epochs": [[1, 2**31]]},
    ],
)
def test_swept_numbers_that_the_tables_cannot_hold_are_refused(swept: dict[str, object]) -> None:
    with pytest.raises(SweepError, match="must be") as caught:
        Sweep(name="test", sweep=swept)
    assert all("sweep." in line for line in caught.value.lines)


@pytest.mark.parametrize("growth", [0.05, 1e9, 1e308])
def test_widths_of_nothing_and_without_end_are_refused(growth: float) -> None:
    with pytest.raises(SweepError, match=r"a cell must have 1 to .* channels, but got .* width_growth="):
        Sweep(name="test", trial={"space": {"width_growth": growth}}, sweep={"space.splitting": [1]})


@pytest.mark.parametrize(
    ("key", "meant"), [("min", "low"), ("max", "high"), ("values", "choices"), ("step_", "step")]
)
def test_the_keys_of_other_tools_are_explained(key: str, meant: str) -> None:
    swept = {"feature_maps.regularization": {key: 1e-5}}
    with pytest.raises(
        SweepError, match=f"`sweep.feature_maps.regularization.{key}`; did you mean `{meant}`"
    ):
        Sweep(name="test", sweep=swept)


@pytest.mark.parametrize(
    ("block", "home"),
    [
        ({"trial": {"lambda": 1}}, "trial.feature_maps.regularization"),
        ({"trial": {"splitting": 1}}, "trial.space.splitting"),
        ({"workers": 2}, "resources.workers"),
        ({"train": {"epochs": 3}}, "trial.train"),
    ],
)
def test_a_key_at_the_wrong_place_is_told_its_home(block: dict[str, object], home: str) -> None:
    with pytest.raises(SweepError, match=f"did you mean `{home}`"):
        Sweep.from_mapping({"name": "test", "sweep": {"space.splitting": [1]}, **block})


def test_objectives_and_constraints_take_the_names_that_tables_show() -> None:
    halving = {"objectives": {"accuracy": "max"}}
    sweep = Sweep(
        name="test", objectives={"accuracy": "max", "tau": "max"}, constraints=["lambda <= 0.1"],
        sweep={"space.splitting": [1]}, strategy={"halving": halving},
    )  # fmt: skip
    assert sweep.objectives == {"accuracy": "max", "threshold": "max"}
    assert sweep.bounds[0].column == "regularization"
    with pytest.raises(SweepError, match="an objective must be named once"):
        Sweep(name="test", objectives={"tau": "max", "threshold": "max"}, sweep={"space.splitting": [1]})


ODD = {
    "two documents": ("name: a\n---\nname: b\n", "must be YAML, but found another document"),
    "deep": ("name: " + "[" * 3000, "nested too deep"),
    "deep braces": ("name: " + "{a: " * 3000, "nested too deep"),
    "a list in itself": ("name: &a [*a]", "must not contain itself"),
    "a billion laughs": (
        "\n".join(f"x{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9) if i else 'lol'}]" for i in range(12)),
        "at most 100,000 values",
    ),
    "a list as key": ("{[1, 2]: 3}", "a key must be text"),
    "a key given twice": ("name: a\nname: b", "the key `name` is given twice"),
    "an object of Python": ("name: !!python/object:os.system ls", "could not determine a constructor"),
    "a tag without a meaning": ("name: !!int many", "a value has no meaning"),
    "no Unicode": ('name: "\\ud800"', "must be"),
    "a NUL": ("name: \0", "must be"),
    "a number of 5000 digits": ("name: a\nsweep: {seed: [" + "9" * 5000 + "]}", "seed"),
    "megabytes": ("name: " + "a" * 2_000_000, "at most 1,000,000 bytes"),
    "an octal that is none": ("name: a\nsweep: {seed: [1:30]}", "must be a valid integer.*but got '1:30'"),
}


@pytest.mark.parametrize("case", ODD)
def test_an_odd_file_is_refused_in_one_line(case: str, tmp_path: Path) -> None:
    text, message = ODD[case]
    with pytest.raises(SweepError, match=message) as caught:
        from_text(tmp_path, text)
    assert max(map(len, caught.value.lines)) < 1000


def test_numbers_are_those_that_people_mean(tmp_path: Path) -> None:
    sweep = from_text(tmp_path, "name: 2026-01-31\nseed: 010\nsweep: {seed: [0x10, 1_000, 08]}")
    assert (sweep.name, sweep.seed, sweep.sweep["seed"]) == ("2026-01-31", 10, [16, 1000, 8])


def test_a_file_without_end_is_read_to_its_limit_only() -> None:
    with pytest.raises(SweepError, match="must have at most 1,000,000 bytes"):
        Sweep.from_yaml("/dev/zero")


def test_a_reference_point_names_objectives() -> None:
    sweep = Sweep(name="test", sweep={"seed": [0]}, reference={"accuracy": 0.8})
    assert sweep.reference == {"accuracy": 0.8}
    with pytest.raises(SweepError, match="`reference` must name objectives, but got `acuracy`; did you mean"):
        Sweep(name="test", sweep={"seed": [0]}, reference={"acuracy": 0.8})


def test_of_sizes_without_end_only_some_are_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(combinations, "MAX_COMBINATIONS", 50)
    fine: dict[str, object] = {"space.width_growth": {"low": 1, "high": 2, "step": 1e-9}}
    assert (Sweep(name="test", sweep=fine).combinations or 0) > 10**8
    sizes = {"space.channels": {"low": 1, "high": 2_000_000_000}, "space.nodes": {"low": 1, "high": 1000}}
    with pytest.raises(SweepError, match="of 50 combinations of sizes"):
        Sweep(name="test", sweep=sizes)
