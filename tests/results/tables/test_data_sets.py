"""Remarks on the images of several runs."""

from __future__ import annotations

import pandas as pd

from results.tables.data_sets import data_remarks


def points(*rows: tuple[str, str, str | None]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["run", "data", "data_fingerprint"])


def test_runs_of_the_same_images_need_no_remark() -> None:
    assert data_remarks(points(("a", "csv", "1f"), ("a", "csv", "1f"), ("b", "csv", "1f"))) == []


def test_other_labels_in_the_same_source_are_other_data() -> None:
    [remark] = data_remarks(points(("a", "csv", "1f"), ("b", "csv", "2e")))
    assert remark.endswith("are not comparable: a has csv (1f); b has csv (2e)")


def test_runs_without_a_fingerprint_are_named() -> None:
    [remark] = data_remarks(points(("old", "csv", None), ("b", "csv", "2e")))
    assert remark.startswith("old stored no fingerprint of the images")
