"""The splits of a data set, under the names that people give them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import PurePath
from typing import Literal, TypeVar

from trials.data.sources.errors import DataError

Split = Literal["train", "validation", "test"]
SPLITS: tuple[Split, ...] = ("train", "validation", "test")

_NAMES: dict[Split, tuple[str, ...]] = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "val", "dev"),
    "test": ("test", "testing"),
}

T = TypeVar("T")


def split_called(name: object) -> Split | None:
    """Return the split of this name; None if it is another.

    >>> split_called("train"), split_called("Val"), split_called("unsupervised")
    ('train', 'validation', None)
    """
    word = str(name).strip().lower()
    return next((split for split, names in _NAMES.items() if word in names), None)


def split_of_path(path: PurePath) -> Split | None:
    """Return the split that a file's name or its nearest folder says; None if nothing does.

    >>> split_of_path(PurePath("data/train-00000-of-00002.parquet")), split_of_path(PurePath("val/0000.parquet"))
    ('train', 'validation')
    """
    for part in (path.stem, *reversed(path.parent.parts)):
        if split := split_called(re.split(r"[-_. ]", part)[0]):
            return split
    return None


def with_test(found: Mapping[Split, T], where: str) -> tuple[dict[Split, T], list[str]]:
    """Return the splits of a data set, and a note if its validation images have to serve as test images.

    Raises:
        DataError: there are no training images, or none to test on.
    """
    splits, notes = dict(found), []
    if "train" in splits and "test" not in splits and "validation" in splits:
        splits["test"] = splits.pop("validation")
        notes = ["the data set has no test images: its validation images are the test images"]
    for split in ("train", "test"):
        if split not in splits:
            raise DataError(f"a data set must have train and test images, but {where} has no {split} images")
    return splits, notes
