"""Constraints: parsing, violation, and fronts of feasible points."""

from __future__ import annotations

import math
from pathlib import Path

import pandas as pd
import pytest

from results import ResultsError, RunDirectory, open_run, refresh_front
from results.pareto.constraints import Constraint, feasible, parse_all
from tests.results.rows import key_of, point_rows


def test_constraints_are_parsed_and_printed() -> None:
    assert [str(one) for one in parse_all(["macs<=3e8", " accuracy  >= .9 "])] == [
        "macs <= 3e+08",
        "accuracy >= 0.9",
    ]


@pytest.mark.parametrize("text", ["macs < 1", "macs <= many", "3 <= macs", "macs <= 1 and 2", "", "macs", 7])
def test_invalid_constraints_are_errors(text: str) -> None:
    with pytest.raises(ResultsError, match="must be COLUMN <= NUMBER or COLUMN >= NUMBER, but got"):
        Constraint.parse(text)


def test_violation_is_the_distance_beyond_the_bound() -> None:
    least, most = parse_all(["accuracy >= 0.5", "macs <= 100"])
    assert [most.violation(value) for value in (90, 100, 130)] == [-10, 0, 30]
    assert [least.violation(value) for value in (0.75, 0.5, 0.25)] == [-0.25, 0, 0.25]
    assert [most.violation(value) for value in (None, math.nan)] == [math.inf] * 2


def test_feasible_rows_satisfy_every_constraint() -> None:
    frame = pd.DataFrame({"accuracy": [0.9, 0.4, None, 0.9], "macs": [50, 50, 50, 500]})
    assert feasible(frame, parse_all(["accuracy >= 0.5", "macs <= 100"])).tolist() == [
        True,
        False,
        False,
        False,
    ]
    assert feasible(frame, ()).all()


def test_fronts_of_a_sweep_hold_feasible_points_only(tmp_path: Path) -> None:
    directory = RunDirectory(tmp_path)
    objectives = {"accuracy": "max", "macs": "min"}
    directory.write_sweep({"objectives": objectives, "constraints": ["macs <= 200"]}, {})
    for index, (accuracy, macs) in enumerate([(0.9, 300), (0.8, 200), (0.7, 100)]):
        rows = point_rows(index, rungs=1)
        directory.write_points(key_of(index), [row | {"accuracy": accuracy, "macs": macs} for row in rows])
    run = open_run(directory)
    assert run.front()["macs"].tolist() == [200, 100]
    assert run.knee()["macs"] in (200, 100)
    assert run.front(maximize="accuracy", minimize="macs")["macs"].tolist() == [300, 200, 100]
    for keys in (None, {key_of(0)}):
        stored = refresh_front(directory, objectives, keys, constraints=run.constraints())
        assert stored["macs"].to_pylist() == [200, 100]
