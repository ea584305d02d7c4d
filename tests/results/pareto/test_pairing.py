"""McNemar's exact test, and the comparison of two points of a run."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binomtest

from results import ResultsError, Run, RunDirectory
from results.pareto.pairing import compare, mask_of, sign_test
from tests.results.rows import key_of, point_rows


@pytest.mark.parametrize(("one", "other"), [(0, 0), (1, 0), (5, 5), (12, 3), (3, 12), (200, 150)])
def test_the_p_value_is_that_of_the_exact_binomial_test(one: int, other: int) -> None:
    expected = binomtest(one, one + other).pvalue if one + other else 1.0
    assert sign_test(one, other) == pytest.approx(expected)


def test_only_images_on_which_two_networks_disagree_tell_them_apart() -> None:
    a, b = np.array([1, 1, 1, 0, 0, 1], bool), np.array([1, 0, 0, 0, 1, 1], bool)
    found = compare(a, b)
    assert found[["images", "both", "only_a", "only_b", "neither"]].tolist() == [6, 2, 2, 1, 1]
    assert found["difference"] == pytest.approx(a.mean() - b.mean())


def test_a_mask_survives_its_column() -> None:
    right = np.random.default_rng(0).random(13) < 0.5
    assert np.array_equal(mask_of(np.packbits(right).tobytes(), 13), right)


def measured(right: list[int]) -> dict[str, object]:
    return {"correct": np.packbits(np.array(right, bool)).tobytes(), "test_images": len(right)}


def test_two_points_of_a_run_are_compared_by_their_names(directory: RunDirectory) -> None:
    for index, right in enumerate(([1, 1, 1, 0], [1, 0, 0, 0], [1, 1, 1])):
        directory.write_points(key_of(index), point_rows(index, 1, **measured(right)))
    directory.write_points(key_of(3), point_rows(3, 1))
    run = Run([directory])
    assert run.compare_points(f"{key_of(0)}-00", f"{key_of(1)}-00")["only_a"] == 2
    with pytest.raises(ResultsError, match="on the same test images, but got 4 of digits and 3 of digits"):
        run.compare_points(f"{key_of(0)}-00", f"{key_of(2)}-00")
    with pytest.raises(ResultsError, match="is of a version that did not store them"):
        run.compare_points(f"{key_of(0)}-00", f"{key_of(3)}-00")
    with pytest.raises(ResultsError, match="a name must fit one point, but 'x-00' fits no point"):
        run.compare_points("x-00", f"{key_of(0)}-00")
    with pytest.raises(ResultsError, match="fits 4 points"):
        run.compare_points("0-00", f"{key_of(0)}-00")
