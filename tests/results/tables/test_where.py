from __future__ import annotations

import datetime
from typing import cast

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from results import UnknownColumnError, WhereError
from results.tables.where import where_mask

FRAME = pd.DataFrame(
    {
        "splitting": pd.array([1, 2, 4, 4], dtype="int32"),
        "accuracy": [0.9, 0.8, np.nan, 0.7],
        "search_peak_bytes": pd.array([10, None, 30, 40], dtype="Int64"),
        "codec": pd.Categorical(["none", "best", None, "best"]),
        "point": ["a-00", "a-01", "b-00", "b-01"],
        "recompute": [True, False, True, False],
        "finished_at": pd.to_datetime(["2026-01-31", "2026-02-01", "2026-02-02", "2026-02-03"], utc=True),
        "macs": [4, 3, 2, 1],
    }
)


@pytest.mark.parametrize(
    ("expression", "rows"),
    [
        (None, [0, 1, 2, 3]),
        ("splitting == 4", [2, 3]),
        ("splitting != 4", [0, 1]),
        ("4 == splitting", [2, 3]),
        ("2 <= splitting", [1, 2, 3]),
        ("1 < splitting <= 2", [1]),
        ("splitting in (1, 2)", [0, 1]),
        ("splitting in [1] or splitting in {2}", [0, 1]),
        ("splitting not in (1, 2)", [2, 3]),
        ("splitting in ()", []),
        ("accuracy > 0.75 and splitting < 4", [0, 1]),
        ("not (accuracy > 0.75)", [3]),  # row 2 is unknown, and so is its negation
        ("accuracy > 0.75 or splitting == 4", [0, 1, 2, 3]),  # unknown or true is true
        ("accuracy is null", [2]),
        ("accuracy is not None", [0, 1, 3]),
        ("search_peak_bytes >= 30", [2, 3]),
        ("search_peak_bytes not in (10, 30)", [3]),
        ("codec == 'best'", [1, 3]),
        ("codec != 'best'", [0]),
        ("codec in ('best', 'other')", [1, 3]),
        ("codec not in ('best',)", [0]),
        ("codec == 'other'", []),
        ("point < 'b'", [0, 1]),
        ("recompute == True", [0, 2]),
        ("finished_at >= '2026-02-01 12:00'", [2, 3]),
        ("finished_at < '2026-02-01T00:00:00+01:00'", [0]),
        ("macs > splitting", [0, 1]),
        ("splitting > -1 and +1 <= splitting", [0, 1, 2, 3]),
        ("space.splitting == 4", [2, 3]),
        ("(splitting == 1) or (splitting == 2 and not codec == 'none')", [0, 1]),
        ("  splitting == 1  ", [0]),
    ],
)
def test_rows_for_which_the_expression_is_true(expression: str | None, rows: list[int]) -> None:
    assert np.flatnonzero(where_mask(FRAME, expression)).tolist() == rows


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("", "must be an expression"),
        ("   ", "must be an expression"),
        (cast(str, 3), "must be an expression over the columns, but got 3"),
        ("accuracy >", "must be an expression over the columns"),
        ("accuracy = 0.5", "write == to compare"),
        ("accuracy > 0.5 & splitting == 4", "write `and`, `or`"),
        ("(accuracy > 0.5) & (splitting == 4)", "write `and`, `or`"),
        ("accuracy", "must be made of comparisons, but got 'accuracy'"),
        ("True", "must be made of comparisons"),
        ("1 < 2", "a comparison must name a column"),
        ("1 in (1, 2)", "a comparison must name a column"),
        ("accuracy == None", "null must be compared with `is null`"),
        ("accuracy is 3", "`is` must be followed by null"),
        ("splitting in 4", "`in` must be followed by a list"),
        ("splitting in (1, codec)", "must compare columns, numbers and quoted text, but got 'codec'"),
        ("__import__('os').system('true') == 0", "must compare columns"),
        ("splitting.__class__() == 1", "must compare columns"),
        ("[c for c in ()] == 1", "must compare columns"),
        ("(lambda: 1)() == splitting", "must be an expression"),
        ("splitting + 1 == 2", r"but got 'splitting \+ 1'"),
        ("f'{splitting}' == '1'", "must compare columns"),
        ("splitting == 1j", "must compare columns"),
        ("splitting == b'1'", "must compare columns"),
        ("splitting == --1", "must compare columns"),
        ("splitting == 99999999999999999999", "must compare columns"),
        ("(x := 3) == splitting", "must compare columns"),
        ("splitting == 'four'", "`splitting` holds numbers, but got 'four'"),
        ("codec == 3", "`codec` holds text, but got 3"),
        ("codec in (3,)", "`codec` holds text, but got 3"),
        ("finished_at > 'noon'", "must be compared with a time, but got 'noon'"),
        ("codec == splitting", "must be alike to be compared, but got text and numbers"),
        ("splitting == 1\x00", "must be an expression"),
        ("(" * 300 + "splitting == 1" + ")" * 300, "must be an expression"),
        ("not " * 3000 + "splitting == 1", "must be"),
        ("splitting == 1" + " or splitting == 1" * 2000, "must be an expression"),
        ("point == '\\d'; import os", "must be an expression"),
    ],
)
def test_text_that_is_not_an_expression_is_refused_in_one_line(expression: str, message: str) -> None:
    with pytest.raises(WhereError, match=message) as caught:
        where_mask(FRAME, expression)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 250


def test_an_unknown_column_is_an_error_with_the_nearest_name() -> None:
    with pytest.raises(UnknownColumnError, match=r"no column `acuracy`; did you mean `accuracy`\?"):
        where_mask(FRAME, "splitting == 4 and acuracy > 0.5")


def test_an_empty_frame_has_no_rows() -> None:
    assert where_mask(FRAME.iloc[:0], "splitting == 4 and codec == 'best'").tolist() == []


@given(text=st.text(max_size=40) | st.from_regex(r"[a-z ()<>=&|.'0-9]{0,30}"))
def test_any_text_selects_rows_or_raises(text: str) -> None:
    try:
        mask = where_mask(FRAME, text)
    except (WhereError, UnknownColumnError):
        return
    assert mask.shape == (len(FRAME),)


_NUMBERS = st.one_of(st.none(), st.integers(-3, 3))


def _tree(depth: int) -> st.SearchStrategy[str]:
    leaf = st.builds(
        lambda c, o, v: f"{c} {o} {v}",
        st.sampled_from("ab"),
        st.sampled_from(["==", "!=", "<", "<=", ">", ">="]),
        st.integers(-3, 3),
    )
    if not depth:
        return leaf
    inner = _tree(depth - 1)
    pairs = st.builds(lambda x, o, y: f"({x}) {o} ({y})", inner, st.sampled_from(["and", "or"]), inner)
    return leaf | pairs | inner.map(lambda x: f"not ({x})")


@given(expression=_tree(3), rows=st.lists(st.tuples(_NUMBERS, _NUMBERS), max_size=6))
def test_without_nulls_an_expression_has_the_same_value_as_in_python(
    expression: str, rows: list[tuple[int | None, int | None]]
) -> None:
    frame = pd.DataFrame(rows, columns=["a", "b"]).astype("Int64")
    mask = where_mask(frame, expression)
    for (a, b), kept in zip(rows, mask, strict=True):
        if a is not None and b is not None:
            assert kept == eval(expression, {"a": a, "b": b})  # noqa: S307


def test_times_of_other_time_zones_are_converted() -> None:
    zone = datetime.timezone(datetime.timedelta(hours=1))
    time = datetime.datetime(2026, 2, 1, tzinfo=zone)
    assert where_mask(FRAME, f"finished_at < '{time.isoformat()}'").tolist() == [True, False, False, False]


POINTS = pd.DataFrame(
    {
        "accuracy": [0.9, 0.8],
        "test_accuracy": [0.8, 0.85],
        "splitting": [1, 2],
        "config": [
            '{"data": {"image_size": null, "path": "a"}}',
            '{"data": {"image_size": 32, "path": "b"}}',
        ],
    }
)


@pytest.mark.parametrize(
    ("expression", "kept"),
    [
        ("gap > 0", [True, False]),
        ("data.image_size is null", [True, False]),
        ("trial.data.path == 'b'", [False, True]),
        ("trial.space.splitting == 2", [False, True]),
    ],
)
def test_what_tables_and_sweep_files_call_a_value_is_its_name(expression: str, kept: list[bool]) -> None:
    assert where_mask(POINTS, expression).tolist() == kept


def test_a_path_that_no_configuration_has_is_no_name() -> None:
    with pytest.raises(UnknownColumnError, match=r"there is no column `data\.size`"):
        where_mask(POINTS, "data.size == 32")
