from __future__ import annotations

from types import ModuleType

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import results
from results import ResultsError, UnknownColumnError, hypervolume, pareto_front, rank
from results.pareto.objectives import Objectives

NAMES = ["w", "x", "y", "z"]


@st.composite
def frames(draw: st.DrawFn) -> tuple[pd.DataFrame, list[str], list[str]]:
    """A frame of small integers (many ties) with gaps, and the columns to maximize and to minimize."""
    width = draw(st.integers(1, 4))
    shape = st.tuples(st.integers(0, 25), st.just(width))
    values = draw(hnp.arrays(np.int8, shape, elements=st.integers(-4, 4)))
    gaps = draw(hnp.arrays(np.bool_, values.shape, elements=st.sampled_from([False] * 12 + [True])))
    frame = pd.DataFrame(np.where(gaps, np.nan, values.astype(float)), columns=NAMES[:width])
    frame.index = pd.Index(draw(st.permutations(range(len(frame)))))
    more = draw(st.lists(st.sampled_from(NAMES[:width]), unique=True))
    return frame, more, [name for name in NAMES[:width] if name not in more]


def oracle(frame: pd.DataFrame, more: list[str], less: list[str]) -> list[bool]:
    """Nondominated rows by the definition, pair by pair."""
    costs = [[-row[name] for name in more] + [row[name] for name in less] for _, row in frame.iterrows()]

    def dominates(a: list[float], b: list[float]) -> bool:
        return all(x <= y for x, y in zip(a, b, strict=True)) and a != b

    complete = [not np.isnan(cost).any() for cost in costs]
    return [
        whole and not any(dominates(other, cost) for other, ok in zip(costs, complete, strict=True) if ok)
        for cost, whole in zip(costs, complete, strict=True)
    ]


@given(frames())
def test_the_front_matches_the_definition(case: tuple[pd.DataFrame, list[str], list[str]]) -> None:
    frame, more, less = case
    front = pareto_front(frame, maximize=more, minimize=less)
    pd.testing.assert_frame_equal(front, frame[np.array(oracle(frame, more, less), dtype=bool)])


@given(frames())
def test_ranks_are_successive_fronts(case: tuple[pd.DataFrame, list[str], list[str]]) -> None:
    frame, more, less = case
    found = rank(frame, maximize=more, minimize=less)
    assert found.index.equals(frame.index)
    rest, layer = frame, 1
    while len(front := pareto_front(rest, maximize=more, minimize=less)):
        assert (found[front.index] == layer).all()
        rest, layer = rest.drop(front.index), layer + 1
    assert found[rest.index].isna().all()


@given(frames())
def test_hypervolume_counts_the_dominated_unit_boxes(case: tuple[pd.DataFrame, list[str], list[str]]) -> None:
    frame, more, less = case
    reference = dict.fromkeys(more, -5.0) | dict.fromkeys(less, 5.0)
    costs = frame.dropna().assign(**{name: -frame[name] for name in more}).to_numpy()
    grid = np.stack(np.meshgrid(*[np.arange(-4, 5)] * frame.shape[1]), -1).reshape(-1, frame.shape[1])
    boxes = sum(bool((costs <= corner).all(axis=1).any()) for corner in grid) if len(costs) else 0
    assert hypervolume(frame, maximize=more, minimize=less, reference=reference) == pytest.approx(boxes)


@given(frames(), st.sampled_from([0.0, 1.0, 2.5]))
def test_a_thinned_front_is_worse_than_no_row_by_a_width(
    case: tuple[pd.DataFrame, list[str], list[str]], width: float
) -> None:
    frame, more, less = case
    chosen = (more + less)[0]
    thin = pareto_front(frame, maximize=more, minimize=less, epsilon={chosen: width})
    full = pareto_front(frame, maximize=more, minimize=less)
    assert set(thin.index) <= set(full.index)
    slack = pd.Series({name: width if name == chosen else 0.0 for name in frame.columns})
    signs = pd.Series({name: -1.0 if name in more else 1.0 for name in frame.columns})
    for _, row in frame.dropna().iterrows():
        gap = (thin * signs).sub(row * signs)
        good = (gap < slack) | (gap <= 0)
        assert good.all(axis=1).any()
    if width:
        boxes = (thin * signs / slack.where(slack > 0, 1)).apply(np.floor)
        assert not boxes.duplicated().any()


def test_equal_rows_are_all_on_the_front() -> None:
    frame = pd.DataFrame({"accuracy": [0.9, 0.9, 0.5], "macs": [1, 1, 1]})
    assert pareto_front(frame, maximize="accuracy", minimize="macs").index.tolist() == [0, 1]


def test_rows_without_an_objective_are_never_on_the_front() -> None:
    frame = pd.DataFrame(
        {
            "accuracy": [np.nan, np.inf, 0.5, 0.4],
            "macs": pd.array([1, 1, 2, None], dtype="Int64"),
        }
    )
    assert pareto_front(frame, maximize=["accuracy"], minimize=["macs"]).index.tolist() == [2]
    assert rank(frame, maximize=["accuracy"], minimize=["macs"]).tolist() == [pd.NA, pd.NA, 1, pd.NA]


def test_an_empty_frame_has_an_empty_front() -> None:
    frame = pd.DataFrame({"accuracy": pd.Series(dtype=float), "macs": pd.Series(dtype="Int64")})
    assert pareto_front(frame, maximize=["accuracy"], minimize=["macs"]).empty
    assert rank(frame, maximize=["accuracy"]).empty
    assert hypervolume(frame, maximize=["accuracy"], minimize=["macs"]) == 0


def test_columns_of_every_numeric_type_are_objectives() -> None:
    frame = pd.DataFrame(
        {
            "a": pd.array([1, 2], dtype="int32"),
            "b": pd.array([1, 2], dtype="Float64"),
            "c": [True, False],
            "d": pd.array([1, 2], dtype="int64[pyarrow]"),
        }
    )
    assert pareto_front(frame, minimize=["a", "b", "d"], maximize="c").index.tolist() == [0]


FRAME = pd.DataFrame({"accuracy": [0.9], "macs": [1], "memory_bytes": [2], "codec": pd.Categorical(["best"])})


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"maximize": ["acuracy"]}, r"no column `acuracy`; did you mean `accuracy`\?"),
        (
            {"minimize": ["mcas", "memory"]},
            "no columns `mcas`; did you mean `macs`.*, `memory`; did you",
        ),
        ({}, "must be at least one objective"),
        ({"maximize": ["macs"], "minimize": ["macs"]}, "must be named once, but got `macs` twice"),
        ({"maximize": ["codec"]}, "must hold numbers, but `codec` holds category"),
        (
            {"maximize": ["accuracy"], "epsilon": {"macs": 1}},
            "`epsilon` must name objectives only, but got",
        ),
        ({"maximize": ["accuracy"], "epsilon": {"accuracy": -1}}, "`epsilon` must be 0 or more"),
        ({"maximize": ["accuracy"], "epsilon": {"accuracy": np.nan}}, "`epsilon` must give a number"),
    ],
)
def test_invalid_arguments_give_one_clear_line(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ResultsError, match=message) as caught:
        pareto_front(FRAME, **arguments)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)


def test_unknown_columns_are_unknown_column_errors() -> None:
    with pytest.raises(UnknownColumnError):
        pareto_front(FRAME, minimize=["x1", "x2"])


@pytest.mark.parametrize("reference", [{}, {"accuracy": 0.5}, {"accuracy": 0, "macs": np.inf}])
def test_a_reference_must_give_every_objective(reference: dict[str, float]) -> None:
    with pytest.raises(ResultsError, match="`reference` must give a number for"):
        hypervolume(FRAME, maximize="accuracy", minimize="macs", reference=reference)


def test_objectives_of_a_sweep_file() -> None:
    directions = {"accuracy": "max", "macs": "min"}
    assert Objectives.of_sweep(directions).directions() == directions
    with pytest.raises(ResultsError, match="objective `macs` must be max or min, but got 'minimal'"):
        Objectives.of_sweep({"macs": "minimal"})
    with pytest.raises(ResultsError, match="at least one objective, but got none"):
        Objectives.of_sweep({})


def test_public_names_are_no_modules() -> None:
    for _ in range(2):  # names are loaded on first use; the second access returns the same
        assert not [
            name for name in vars(results)["__all__"] if isinstance(getattr(results, name), ModuleType)
        ]
