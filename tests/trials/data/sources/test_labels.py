"""Labels become 0 to K - 1, whatever people wrote."""

from __future__ import annotations

import pytest

from trials.data.sources.errors import DataError
from trials.data.sources.labels import Classes, number_labels


def numbered(train: list[object], test: list[object], names: list[str] | None = None) -> Classes:
    return number_labels({"train": train, "test": test}, names, "DATA", lambda split, i: f"{split} {i}")


def test_numbers_from_zero_are_their_own_labels() -> None:
    classes = numbered([2, 0, 1, 1], [1])
    assert (classes.names, classes.notes) == (("0", "1", "2"), ())
    assert classes.labels["train"].tolist() == [2, 0, 1, 1]


def test_numbers_from_one_are_moved_and_a_note_says_so() -> None:
    classes = numbered([1, 3, 2], [3.0])  # pandas makes floats of a column with gaps
    assert classes.names == ("1", "2", "3")
    assert (classes.labels["train"].tolist(), classes.labels["test"].tolist()) == ([0, 2, 1], [2])
    assert classes.notes == ("the labels are 1 to 3: the first output of a network is class 1",)


def test_names_are_numbered_in_their_order() -> None:
    classes = numbered(["dog", "Ka\u0308se", "cat"], ["K\u00e4se"])
    assert classes.names == ("K\u00e4se", "cat", "dog")
    assert (classes.labels["train"].tolist(), classes.labels["test"].tolist()) == ([2, 0, 1], [0])


def test_declared_names_may_include_classes_without_images() -> None:
    classes = numbered([0, 2], [2], ["ant", "bee", "cat"])
    assert classes.names == ("ant", "bee", "cat")
    assert classes.notes == ("1 of 3 classes have no training image, such as bee",)


@pytest.mark.parametrize(
    ("train", "test", "names", "fault"),
    [
        ([0, 1], [-1], None, "labels must be 0 to 1, but test 0 has -1"),
        ([1, 2], [0], None, "labels must be 1 to 2, but test 0 has 0"),
        ([0, 3], [0], ["a", "b"], "labels must be 0 to 1, but train 1 has 3"),
        ([1, 3], [1], None, "training labels must use every number from 1 to the largest, but DATA has 3 and no 2"),
        ([0, float("nan")], [0], None, "every label must be a whole number or a name, but train 1 has nan"),
        ([2**63, 1], [1], None, "a number as label must be at most 2,147,483,648, but train 0 has 9223372036854775808"),
        ([], [0], None, "a data set must have train and test images, but DATA has no train images"),
        (["a", 1], ["a"], None, "every label must be a name like the others, but train 1 has 1"),
        (["a", " "], ["a"], None, "every label must be a name like the others, but train 1 has ' '"),
        (["a"], ["b"], None, "every class of the test images must have a training image, but 'b' has none (test 0)"),
    ],
)  # fmt: skip
def test_labels_that_cannot_be_numbered_are_refused(
    train: list[object], test: list[object], names: list[str] | None, fault: str
) -> None:
    with pytest.raises(DataError) as caught:
        numbered(train, test, names)
    assert str(caught.value) == fault
