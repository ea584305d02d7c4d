"""The data of a trial: from the source that its configuration names to images on the training device."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from trials.config import DataConfig
from trials.data.batches import Batches, split_halves
from trials.data.image_files import ImageFiles
from trials.data.image_set import ImageReader, Images, ImageSet, statistics
from trials.data.seeds import Purpose, generator
from trials.data.sources.arrays import Arrays
from trials.data.sources.errors import DataError
from trials.data.sources.image_folder import FileList, ImageFolder
from trials.data.sources.readers import decoded
from trials.data.sources.sources import ReadSource, source_of

__all__ = ["Batches", "DataError", "ImageReader", "ImageSet", "Images", "load_images", "split_halves"]

STATISTICS_IMAGES = 2048
"""Training images that mean and deviation are taken of where the images stay in files."""
TEST_SEED = 0
"""Seed of the test images that are used: all trials of a sweep are scored on the same ones."""


def load_images(config: DataConfig, seed: int, device: torch.device) -> Images:
    """Return the images that a trial works on.

    ``seed`` chooses the training images where ``train_images`` asks for fewer than there are; the test images
    are always the same ones. Everything but ``image_folder`` is held on ``device``, and what was read is kept
    for later trials of the process. Raises DataError where images are missing or broken.
    """
    source = source_of(config)
    if isinstance(source, ImageFolder):
        return _in_files(source.list_files(), config, seed, device)
    return _held(_read(source, _stamps(source.files())), config, seed, device)


def _held(arrays: Arrays, config: DataConfig, seed: int, device: torch.device) -> Images:
    train, test = _chosen(len(arrays.train_labels), len(arrays.test_labels), config, seed)
    pixels = _part(arrays.train_pixels, train, device)
    mean, std = statistics(pixels)
    images = ImageSet(pixels, _part(arrays.train_labels, train, device), mean, std)
    tests = ImageSet(
        _part(arrays.test_pixels, test, device), _part(arrays.test_labels, test, device), mean, std
    )
    return Images(images, tests, arrays.classes)


def _in_files(files: FileList, config: DataConfig, seed: int, device: torch.device) -> Images:
    train, test = _chosen(len(files.train_files), len(files.test_files), config, seed)
    names = _names(files.train_files, train)
    labels = _part(files.train_labels, train, device)
    mean, std = (value.to(device) for value in _sampled_statistics(names, files, config.loader_workers))
    images = ImageFiles(names, labels, mean, std, files.shape, files.image_size, config.loader_workers)
    tests = replace(
        images, files=_names(files.test_files, test), labels=_part(files.test_labels, test, device)
    )
    return Images(images, tests, files.classes)


def _sampled_statistics(names: tuple[str, ...], files: FileList, workers: int) -> tuple[Tensor, Tensor]:
    sample = generator(0, Purpose.STATISTICS).permutation(len(names))[:STATISTICS_IMAGES]
    batches = ([names[i] for i in part] for part in np.array_split(sample, max(1, len(sample) // 64)))
    pixels = np.concatenate(list(decoded(batches, files.image_size, files.shape, workers)))
    return statistics(torch.from_numpy(pixels))


def _chosen(
    train: int, test: int, config: DataConfig, seed: int
) -> tuple[np.ndarray | None, np.ndarray | None]:
    """Return the training and the test images to use; None for all of them."""
    return (
        _first("train_images", config.train_images, train, seed),
        _first("test_images", config.test_images, test, TEST_SEED),
    )


def _first(name: str, wanted: int | None, available: int, seed: int) -> np.ndarray | None:
    if wanted is None or wanted == available:
        return None
    if wanted > available:
        raise DataError(f"`data.{name}` must be at most the {available} there are, but got {wanted}")
    return generator(seed, Purpose.SUBSET).permutation(available)[:wanted]


def _part(array: np.ndarray, chosen: np.ndarray | None, device: torch.device) -> Tensor:
    return torch.from_numpy(array if chosen is None else array[chosen]).to(device)


def _names(files: tuple[str, ...], chosen: np.ndarray | None) -> tuple[str, ...]:
    return files if chosen is None else tuple(files[i] for i in chosen)


def _stamps(files: tuple[Path, ...]) -> tuple[tuple[str, int, int], ...]:
    """Return path, size and time of change of each file: a file that changes is read again."""
    stats = [(file, file.stat()) for file in files]
    return tuple((str(file), stat.st_size, stat.st_mtime_ns) for file, stat in stats)


@lru_cache(maxsize=2)
def _read(source: ReadSource, stamps: tuple[tuple[str, int, int], ...]) -> Arrays:
    return source.read()
