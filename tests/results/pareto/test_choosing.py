from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from results import ResultsError, best, knee, pareto_front

FRAME = pd.DataFrame(
    {"accuracy": [0.95, 0.94, 0.60, 0.50, np.nan], "macs": [900, 300, 100, 800, 1], "codec": list("abcde")}
)


def test_the_knee_is_the_best_compromise() -> None:
    row = knee(FRAME, maximize="accuracy", minimize="macs")
    assert row["codec"] == "b"
    assert isinstance(row["macs"], int)  # values keep their types


def test_the_only_point_is_the_knee() -> None:
    assert knee(FRAME.iloc[[3]], maximize="accuracy", minimize="macs")["codec"] == "d"
    assert knee(FRAME, maximize="accuracy")["codec"] == "a"


@given(
    st.lists(st.tuples(st.integers(0, 20), st.integers(0, 20)), min_size=1, max_size=12),
    st.floats(0.1, 100),
)
def test_the_knee_is_on_the_front_and_does_not_depend_on_units(
    rows: list[tuple[int, int]], factor: float
) -> None:
    frame = pd.DataFrame(rows, columns=["a", "b"]).astype(float)
    row = knee(frame, minimize=["a", "b"])
    assert row.name in pareto_front(frame, minimize=["a", "b"]).index
    scaled = knee(frame.assign(b=frame["b"] * factor + 7), minimize=["a", "b"])
    front = pareto_front(frame, minimize=["a", "b"])
    spread = np.maximum(front.max() - front.min(), 1e-12)
    sums = ((front - front.min()) / spread).sum(axis=1)
    assert sums[scaled.name] == pytest.approx(sums.min(), abs=1e-9)


def test_later_columns_break_ties_of_the_best() -> None:
    assert best(FRAME, maximize="accuracy")["codec"] == "a"
    assert best(FRAME, minimize="macs")["codec"] == "e"
    assert best(FRAME, maximize="accuracy", minimize="macs")["codec"] == "a"
    tied = pd.DataFrame({"a": [1, 1, 2], "b": [5, 4, 0]})
    assert best(tied, minimize=["a", "b"]).name == 1
    assert best(tied.assign(b=0), minimize=["a", "b"]).name == 0  # the first of equals


@pytest.mark.parametrize("choose", [best, knee])
def test_no_complete_row_is_an_error(choose: Callable[..., pd.Series]) -> None:
    with pytest.raises(ResultsError, match="needs a point with `accuracy`, `macs`, but there is none"):
        choose(FRAME.iloc[4:], maximize="accuracy", minimize="macs")
