"""Seeded samples of labelled images that spread over the classes.

Files often list images class by class: the first few hundred then show one class of ten.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from trials.data.sources.arrays import Indices, Labels


def balanced(labels: Labels, count: int, random: np.random.Generator) -> Indices:
    """Return ``count`` indices, sorted: as many of each class as of any other, as far as there are images.

    >>> labels = np.repeat([0, 1, 2], [50, 50, 2])
    >>> np.bincount(labels[balanced(labels, 12, np.random.default_rng(0))]).tolist()
    [5, 5, 2]
    """
    place, _ = _places(labels, random)
    return _smallest(place.astype(np.float64), count, random)


def stratified(labels: Labels, count: int, random: np.random.Generator) -> Indices:
    """Return ``count`` indices, sorted: each class has the share that it has among all images, to one image.

    >>> labels = np.repeat([0, 1], [90, 10])
    >>> np.bincount(labels[stratified(labels, 20, np.random.default_rng(0))]).tolist()
    [18, 2]
    """
    place, size = _places(labels, random)
    return _smallest((place + 0.5) / size, count, random)


def _places(labels: Labels, random: np.random.Generator) -> tuple[Indices, Indices]:
    """Return the place of each image in a random order of its class, from 0, and the size of that class: [N] each."""
    shuffled = random.permutation(len(labels))
    order = shuffled[np.argsort(labels[shuffled], kind="stable")]  # class by class, in random order
    _, starts, sizes = np.unique(labels[order], return_index=True, return_counts=True)
    place, size = np.empty((2, len(labels)), dtype=np.int64)
    place[order] = np.arange(len(labels)) - np.repeat(starts, sizes)
    size[order] = np.repeat(sizes, sizes)
    return place, size


def _smallest(keys: NDArray[np.float64], count: int, random: np.random.Generator) -> Indices:
    """Return the indices of the ``count`` smallest keys, sorted; ties are broken at random."""
    return np.sort(np.lexsort((random.permutation(len(keys)), keys))[:count])
