"""The splits of a data set, under the names that people give them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
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


def left_out(rows: Mapping[object, int], where: str) -> list[str]:
    """Return a note on the rows of a table that are of no known split; ``rows`` counts them by what they say.

    >>> left_out({"tset": 2, None: 1}, "a.csv")
    ["3 rows of a.csv are left out, because they are of no known split: 2 of 'tset', 1 of none"]
    """
    if not rows:
        return []
    kinds = ", ".join(
        f"{count:,} of {repr(name) if name else 'none'}" for name, count in Counter(rows).most_common(4)
    )
    return [
        f"{sum(rows.values()):,} rows of {where} are left out, because they are of no known split: {kinds}"
    ]


def with_test(
    found: Mapping[Split, T], where: str, left_out: Sequence[str] = ()
) -> tuple[dict[Split, T], list[str]]:
    """Return the splits of a data set, and notes: on ``left_out``, and if validation images serve as test images.

    Raises:
        DataError: there are no training images, or none to test on.
    """
    splits, notes = dict(found), list(left_out)
    if "train" in splits and "test" not in splits and "validation" in splits:
        splits["test"] = splits.pop("validation")
        notes.append("the data set has no test images: its validation images are the test images")
    why = "".join(f" ({note})" for note in left_out)
    for split in ("train", "test"):
        if split not in splits:
            raise DataError(
                f"a data set must have train and test images, but {where} has no {split} images{why}"
            )
    return splits, notes
