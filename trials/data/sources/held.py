"""Images that a trial holds in memory: labels of all of them, and the pixels of those that it uses."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from trials.data.sources.arrays import ArraySource, Indices, Labels, Pixels, read_arrays
from trials.data.sources.parquet import ParquetImages
from trials.data.sources.sources import survey_of
from trials.data.sources.splits import Split
from trials.data.sources.surveys import Survey


@dataclass(frozen=True)
class HeldImages:
    """The images of a source. The trials of a process share the pixels: do not modify."""

    labels: Mapping[Split, Labels]
    pixels: Callable[[Split, Indices | None], Pixels]
    """Returns the images of a split, all of them or a subset, uint8 [n, C, H, W]."""
    survey: Survey


def held_images(source: ArraySource | ParquetImages) -> HeldImages:
    """Return the images of a source.

    Raises:
        DataError: images are missing or invalid.
    """
    if isinstance(source, ParquetImages):
        survey, listing = source.survey(), source.list_rows()

        def decoded(split: Split, indices: Indices | None) -> Pixels:
            chosen = np.arange(len(listing.rows[split])) if indices is None else indices
            return _decoded(source, str(survey), split, chosen.tobytes())

        return HeldImages(listing.classes.labels, decoded, survey)
    arrays = read_arrays(source)
    labels: dict[Split, Labels] = {"train": arrays.train_labels, "test": arrays.test_labels}

    def pixels(split: Split, indices: Indices | None) -> Pixels:
        everything = arrays.train_pixels if split == "train" else arrays.test_pixels
        return everything if indices is None else everything[indices]

    return HeldImages(labels, pixels, survey_of(source))


@lru_cache(maxsize=6)
def _decoded(source: ParquetImages, survey: str, split: Split, indices: bytes) -> Pixels:
    """Decode images once in this process for every version of the files, which ``survey`` stands for."""
    shape = source.survey().shape
    return source.decode(split, np.frombuffer(indices, dtype=np.int64), shape)
