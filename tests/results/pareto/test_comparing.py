from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from results import UnknownColumnError, compare
from tests.results.pareto.goals import Goals

SETS = st.lists(st.tuples(st.integers(1, 9), st.integers(1, 9)), max_size=8).map(
    lambda rows: pd.DataFrame(rows, columns=["accuracy", "macs"], dtype=float)
)
GOALS: Goals = {"maximize": ["accuracy"], "minimize": ["macs"]}


def weakly_dominates(a: pd.Series, b: pd.Series, shift: float = 0.0) -> bool:
    return bool(a["accuracy"] + shift >= b["accuracy"] - 1e-12 and a["macs"] - shift <= b["macs"] + 1e-12)


@given(SETS, SETS)
def test_indicators_match_their_definitions(a: pd.DataFrame, b: pd.DataFrame) -> None:
    table = compare(a, b, **GOALS)
    assert table.T["points"].tolist() == [len(a), len(b)]
    if a.empty or b.empty:
        assert table.loc[["epsilon_additive", "epsilon_multiplicative", "coverage"]].isna().all(axis=None)
        return
    fronts = {}
    for name, frame in (("a", a), ("b", b)):
        keep = [
            not any(weakly_dominates(x, y) and not x.equals(y) for _, x in frame.iterrows())
            for _, y in frame.iterrows()
        ]
        fronts[name] = frame[keep]
    both = pd.concat(fronts.values())
    spread = (both.max() - both.min()).replace(0, 1)
    for own, other in (("a", "b"), ("b", "a")):
        covered = [
            any(weakly_dominates(x, y) for _, x in fronts[own].iterrows())
            for _, y in fronts[other].iterrows()
        ]
        assert table.loc["coverage", own] == pytest.approx(np.mean(covered))
        x, y = (fronts[name] / spread for name in (own, other))
        additive = max(
            min(max(q["accuracy"] - p["accuracy"], p["macs"] - q["macs"]) for _, p in x.iterrows())
            for _, q in y.iterrows()
        )
        assert table.loc["epsilon_additive", own] == pytest.approx(additive)
        x, y = fronts[own], fronts[other]
        factor = max(
            min(max(q["accuracy"] / p["accuracy"], p["macs"] / q["macs"]) for _, p in x.iterrows())
            for _, q in y.iterrows()
        )
        assert table.loc["epsilon_multiplicative", own] == pytest.approx(factor)


def test_a_set_against_itself() -> None:
    frame = pd.DataFrame({"accuracy": [0.9, 0.8], "macs": [2, 1]})
    table = compare(frame, frame, **GOALS)
    assert table.T["coverage"].tolist() == [1, 1]
    assert table.T["epsilon_additive"].tolist() == [0, 0]
    assert table.T["epsilon_multiplicative"].tolist() == [1, 1]


def test_epsilon_multiplicative_needs_positive_values() -> None:
    frame = pd.DataFrame({"accuracy": [0.0], "macs": [1]})
    assert compare(frame, frame, **GOALS).T["epsilon_multiplicative"].isna().all()


def test_hypervolume_with_a_given_reference() -> None:
    frame = pd.DataFrame({"accuracy": [0.5], "macs": [1]})
    table = compare(frame, frame.iloc[:0], **GOALS, reference={"accuracy": 0, "macs": 3})
    assert table.T["hypervolume"].tolist() == [1.0, 0.0]


def test_both_sets_need_the_columns() -> None:
    with pytest.raises(UnknownColumnError, match="`macs`"):
        compare(pd.DataFrame({"accuracy": [1.0], "macs": [1]}), pd.DataFrame({"accuracy": [1.0]}), **GOALS)


def test_the_reference_point_may_decide_and_the_one_near_the_front_does_not_move_with_poor_points() -> None:
    wide = pd.DataFrame({"accuracy": [0.90, 0.85, 0.60], "macs": [900.0, 500.0, 100.0]})
    good = pd.DataFrame({"accuracy": [0.92, 0.89, 0.86], "macs": [900.0, 700.0, 480.0]})
    poor = pd.DataFrame({"accuracy": [0.10], "macs": [2000.0]})
    without, added = compare(wide, good, **GOALS).T, compare(pd.concat([wide, poor]), good, **GOALS).T
    assert without["hypervolume"].tolist() != added["hypervolume"].tolist()
    assert without["hypervolume_near"].tolist() == added["hypervolume_near"].tolist()
    reference = {"accuracy": 0.8, "macs": 1000.0}
    useful = compare(wide, good, **GOALS, reference=reference).T["hypervolume"].tolist()
    assert useful[1] > useful[0]
    far = added["hypervolume"].tolist()
    assert far[0] > far[1]
