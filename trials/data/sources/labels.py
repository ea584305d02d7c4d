"""Labels as people write them, names or numbers, become 0 to K - 1 and the names of the K classes."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from trials.data.sources.arrays import Labels
from trials.data.sources.errors import DataError
from trials.data.sources.splits import Split


@dataclass(frozen=True)
class Classes:
    """The classes of a data set, and the label of every image."""

    names: tuple[str, ...]
    """Names in the order of the labels."""
    labels: Mapping[Split, Labels]
    notes: tuple[str, ...] = ()


LARGEST = 2**31
"""The largest number that a label may be: what is larger numbers something else."""

Place = Callable[[Split, int], str]
"""Returns where the n-th image of a split stands, for messages."""


def number_labels(
    raw: Mapping[Split, Sequence[object]], names: Sequence[str] | None, where: str, place: Place
) -> Classes:
    """Number the labels of every split.

    Args:
        raw: text, or whole numbers from 0 or from 1 without gaps.
        names: of the classes 0 to K - 1, if the file declares them.
        where: name of the data set in messages.
        place: of an image in messages.

    Raises:
        DataError: labels of another kind or with gaps, or a label that no training image has.
    """
    for split in ("train", "test"):
        if not len(raw[split]):
            raise DataError(f"a data set must have train and test images, but {where} has no {split} images")
    if any(isinstance(label, str) for label in raw["train"]):
        return _named(raw, place)
    return _numbered(raw, names, where, place)


def normal_name(name: str) -> str:
    """Return a name in the one form of Unicode in which equal names are equal."""
    return unicodedata.normalize("NFC", name)


def _named(raw: Mapping[Split, Sequence[object]], place: Place) -> Classes:
    texts: dict[Split, list[str]] = {}
    for split, values in raw.items():
        for index, value in enumerate(values):
            if not isinstance(value, str) or not value.strip():
                raise DataError(
                    f"every label must be a name like the others, but {place(split, index)} has {value!r}"
                )
        texts[split] = [normal_name(str(value)) for value in values]
    names = tuple(sorted(set(texts["train"])))
    number = {name: label for label, name in enumerate(names)}
    labels: dict[Split, Labels] = {}
    for split, values in texts.items():
        unknown = next((index for index, value in enumerate(values) if value not in number), None)
        if unknown is not None:
            raise DataError(
                f"every class of the {split} images must have a training image, but {values[unknown]!r} has none "
                f"({place(split, unknown)})"
            )
        labels[split] = np.array([number[value] for value in values], dtype=np.int64)
    return Classes(names, labels)


def _numbered(
    raw: Mapping[Split, Sequence[object]], names: Sequence[str] | None, where: str, place: Place
) -> Classes:
    numbers = {split: _whole_numbers(split, values, place) for split, values in raw.items()}
    present = np.unique(numbers["train"])
    first = 1 if names is None and present[0] == 1 else 0
    count = len(present) if names is None else len(names)
    if names is None:
        for expected, label in enumerate(present, first):
            if label != expected:
                raise DataError(
                    f"training labels must use every number from {first} to the largest, but {where} has {label} and "
                    f"no {expected}"
                )
    labels: dict[Split, Labels] = {}
    for split, values in numbers.items():
        labels[split] = values - first
        outside = np.flatnonzero((labels[split] < 0) | (labels[split] >= count))
        if len(outside):
            raise DataError(
                f"labels must be {first} to {first + count - 1}, but {place(split, int(outside[0]))} has "
                f"{values[outside[0]]}"
            )
    if names is not None:
        missing = [name for label, name in enumerate(names) if label not in present]
        lacking = (
            f"{len(missing)} of {count} classes have no training image, such as {missing[0]}"
            if missing
            else ""
        )
        return Classes(tuple(names), labels, (lacking,) if lacking else ())
    from_one = f"the labels are 1 to {count}: the first output of a network is class 1"
    return Classes(tuple(map(str, present)), labels, (from_one,) if first else ())


def _whole_numbers(split: Split, values: Sequence[object], place: Place) -> Labels:
    for index, value in enumerate(values):
        if not isinstance(value, int | float) or value != value // 1:
            raise DataError(
                f"every label must be a whole number or a name, but {place(split, index)} has {value!r}"
            )
        if abs(value) > LARGEST:
            raise DataError(
                f"a number as label must be at most {LARGEST:,}, but {place(split, index)} has {value}"
            )
    return np.array(values, dtype=np.int64)
