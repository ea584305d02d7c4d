from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from results import SchemaError
from results.schema import POINTS, PROGRESS
from results.storage.parquet_files.rows import table_from_rows
from tests.results.rows import epoch_rows, point_rows


def test_rows_become_a_table_of_exactly_the_schema() -> None:
    table = table_from_rows(POINTS, point_rows(3))
    assert table.schema.equals(POINTS, check_metadata=True)
    assert table["trial_index"].to_pylist() == [3, 3]
    assert table["latency_1_ms"].to_pylist() == [None, None]  # nullable columns may be left out
    assert table["taps"].to_pylist()[0][0]["tap"] == "stem"
    table.validate(full=True)


def test_numpy_numbers_are_numbers() -> None:
    rows = point_rows(0, macs=np.int64(5), accuracy=np.float32(0.5), threshold=0)
    table = table_from_rows(POINTS, rows)
    assert table["macs"].to_pylist() == [5, 5]
    assert table["threshold"].to_pylist() == [0.0, 0.0]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"acuracy": 0.5}, r"row 0: there is no column `acuracy`; did you mean `accuracy`\?"),
        ({"macs": None}, "row 0: `macs` must be given, but it is null"),
        ({"macs": 1.5}, "row 0: `macs` must be a whole number, but got 1.5"),
        ({"macs": True}, "row 0: `macs` must be a whole number, but got True"),
        ({"accuracy": True}, "row 0: `accuracy` must be a number, but got True"),
        ({"accuracy": "0.5"}, "row 0: `accuracy` must be a number, but got '0.5'"),
        ({"codec": 3}, "row 0: `codec` must be text, but got 3"),
        ({"cells": 2**40}, f"`cells` must hold int32, but got {2**40}"),
        ({"finished_at": "noon"}, "`finished_at` must hold timestamp.*, but got 'noon'"),
        ({"taps": "stem"}, "row 0: `taps` must be a list, but got 'stem'"),
        ({"taps": [{"tap": "stem"}]}, "row 0: `taps`: part `elements` must be given"),
        ({"taps": [{"tapp": "stem"}]}, r"row 0: `taps` has no part `tapp`; did you mean `tap`\?"),
        ({"taps": [3]}, "row 0: `taps` must hold mappings, but got 3"),
    ],
)
def test_values_that_do_not_fit_are_refused_in_one_line(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(SchemaError, match=message) as caught:
        table_from_rows(POINTS, point_rows(0, **changes))
    assert "\n" not in str(caught.value)


def test_a_missing_column_is_named_with_its_row() -> None:
    rows: list[dict[str, object]] = [{**row} for row in epoch_rows(0)]
    del rows[3]["loss"]
    with pytest.raises(SchemaError, match="row 3: `loss` must be given, but it is missing"):
        table_from_rows(PROGRESS, rows)


def test_no_rows_are_an_empty_table() -> None:
    assert table_from_rows(POINTS, []).num_rows == 0
