"""Loading of a trial's images: from the source that the configuration names to image sets on the device."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from trials.config import DataConfig
from trials.data.batches import Batches, split_halves
from trials.data.image_files import ImageFiles
from trials.data.image_set import ImageReader, Images, ImageSet, statistics
from trials.data.seeds import RandomStream, generator
from trials.data.sources.arrays import Arrays, ArraySource
from trials.data.sources.errors import DataError
from trials.data.sources.image_folder import FileList, ImageFolder
from trials.data.sources.readers import decode_batches
from trials.data.sources.sources import source_of

__all__ = ["Batches", "DataError", "ImageReader", "ImageSet", "Images", "load_images", "split_halves"]

STATISTICS_IMAGES = 2048
"""Training images from which mean and standard deviation are estimated if the images stay in files."""
TEST_SEED = 0
"""Seed of the test subset: all trials of a sweep are evaluated on the same test images."""

Indices = NDArray[np.int64]
"""Indices of a subset of images, [n]."""


def load_images(config: DataConfig, seed: int, device: torch.device) -> Images:
    """Return the training and test images of a trial.

    Images of an ``image_folder`` stay in files. All others are held on ``device``; what was read from disk is kept for
    later trials of the process.

    Args:
        config: source and number of images.
        seed: of the training subset. The test subset is the same for every seed.
        device: of the images, or of the labels if the images stay in files.

    Raises:
        DataError: images are missing or invalid, or fewer than ``config`` asks for.
    """
    source = source_of(config)
    if isinstance(source, ImageFolder):
        return _images_in_files(source.list_files(), config, seed, device)
    return _images_on_device(_read(source, _file_versions(source.files())), config, seed, device)


def _images_on_device(arrays: Arrays, config: DataConfig, seed: int, device: torch.device) -> Images:
    train, test = _subsets(len(arrays.train_labels), len(arrays.test_labels), config, seed)
    pixels = _select(arrays.train_pixels, train, device)
    mean, std = statistics(pixels)
    return Images(
        ImageSet(pixels, _select(arrays.train_labels, train, device), mean, std),
        ImageSet(
            _select(arrays.test_pixels, test, device), _select(arrays.test_labels, test, device), mean, std
        ),
        arrays.classes,
    )


def _images_in_files(files: FileList, config: DataConfig, seed: int, device: torch.device) -> Images:
    train, test = _subsets(len(files.train_files), len(files.test_files), config, seed)
    names = _select_names(files.train_files, train)
    labels = _select(files.train_labels, train, device)
    mean, std = (value.to(device) for value in _sampled_statistics(names, files, config.loader_workers))
    images = ImageFiles(names, labels, mean, std, files.shape, files.image_size, config.loader_workers)
    test_images = replace(
        images,
        files=_select_names(files.test_files, test),
        labels=_select(files.test_labels, test, device),
    )
    return Images(images, test_images, files.classes)


def _sampled_statistics(names: tuple[str, ...], files: FileList, workers: int) -> tuple[Tensor, Tensor]:
    """Return mean and standard deviation, float64 [C] each, of a fixed sample of the training images."""
    sample = generator(0, RandomStream.STATISTICS).permutation(len(names))[:STATISTICS_IMAGES]
    batches = ([names[i] for i in part] for part in np.array_split(sample, max(1, len(sample) // 64)))
    pixels = np.concatenate(list(decode_batches(batches, files.image_size, files.shape, workers)))
    return statistics(torch.from_numpy(pixels))


def _subsets(train: int, test: int, config: DataConfig, seed: int) -> tuple[Indices | None, Indices | None]:
    """Return the indices of the training and the test images to use; None: all."""
    return (
        _subset("train_images", config.train_images, train, seed),
        _subset("test_images", config.test_images, test, TEST_SEED),
    )


def _subset(name: str, count: int | None, available: int, seed: int) -> Indices | None:
    if count is None or count == available:
        return None
    if count > available:
        raise DataError(f"`data.{name}` must be at most the {available} there are, but got {count}")
    return generator(seed, RandomStream.SUBSET).permutation(available)[:count]


def _select(
    array: NDArray[np.uint8] | NDArray[np.int64], indices: Indices | None, device: torch.device
) -> Tensor:
    return torch.from_numpy(array if indices is None else array[indices]).to(device)


def _select_names(files: tuple[str, ...], indices: Indices | None) -> tuple[str, ...]:
    return files if indices is None else tuple(files[i] for i in indices)


def _file_versions(files: tuple[Path, ...]) -> tuple[tuple[str, int, int], ...]:
    """Return path, size in bytes and modification time in ns of each file: a changed file is read again."""
    stats = [(file, file.stat()) for file in files]
    return tuple((str(file), stat.st_size, stat.st_mtime_ns) for file, stat in stats)


@lru_cache(maxsize=2)
def _read(source: ArraySource, versions: tuple[tuple[str, int, int], ...]) -> Arrays:
    return source.read()
