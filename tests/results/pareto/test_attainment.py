from __future__ import annotations

import math

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from results import ResultsError, attainment, pareto_front
from tests.results.pareto.goals import Goals

GOALS: Goals = {"maximize": "accuracy", "minimize": "macs"}
ROWS = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 6), st.integers(0, 6)), min_size=1, max_size=16)


@given(ROWS, st.sampled_from([0.25, 0.5, 0.75, 1.0]))
def test_each_point_of_a_surface_is_attained_by_that_share_of_the_seeds(
    rows: list[tuple[int, int, int]], level: float
) -> None:
    frame = pd.DataFrame(rows, columns=["seed", "accuracy", "macs"])
    surface = attainment(frame, **GOALS, levels=[level])
    needed = max(1, math.ceil(level * frame["seed"].nunique() - 1e-9))

    def attained(accuracy: float, macs: float) -> int:
        good = frame[(frame["accuracy"] >= accuracy) & (frame["macs"] <= macs)]
        return int(good["seed"].nunique())

    for _, point in surface.iterrows():
        assert attained(point["accuracy"], point["macs"]) >= needed
    corners = [(a, m) for a in range(7) for m in range(7) if attained(a, m) >= needed]
    best = pareto_front(pd.DataFrame(corners, columns=["accuracy", "macs"]), **GOALS)
    assert set(map(tuple, surface[["accuracy", "macs"]].to_numpy())) == set(
        map(tuple, best.to_numpy().astype(float))
    )


def test_surfaces_of_three_objectives() -> None:
    frame = pd.DataFrame({"seed": [0, 1], "accuracy": [0.9, 0.8], "macs": [2, 1], "loss": [1.0, 2.0]})
    surface = attainment(frame, maximize="accuracy", minimize=["macs", "loss"], levels=[1])
    assert surface.to_dict("records") == [{"level": 1.0, "accuracy": 0.8, "macs": 2.0, "loss": 2.0}]


def test_no_complete_points_give_empty_surfaces() -> None:
    frame = pd.DataFrame({"seed": [0], "accuracy": [float("nan")], "macs": [1]})
    assert attainment(frame, **GOALS).empty
    assert attainment(frame.iloc[:0], **GOALS).columns.tolist() == ["level", "accuracy", "macs"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"maximize": "accuracy"}, "two or three objectives, but got accuracy"),
        ({**GOALS, "levels": [50]}, "above 0 and at most 1, but got 50"),
        ({**GOALS, "levels": [0]}, "above 0 and at most 1, but got 0"),
        ({**GOALS, "over": "sed"}, "no column `sed`; did you mean `seed`"),
    ],
)
def test_invalid_arguments_give_one_clear_line(arguments: dict[str, object], message: str) -> None:
    frame = pd.DataFrame({"seed": [0], "accuracy": [0.5], "macs": [1]})
    with pytest.raises(ResultsError, match=message):
        attainment(frame, **arguments)  # type: ignore[arg-type]
