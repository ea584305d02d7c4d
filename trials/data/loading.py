"""Loading of a trial's images: from the source that the configuration names to image sets on the device."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from trials.config import DataConfig
from trials.data.batches import Batches, split_halves
from trials.data.image_files import ImageFiles
from trials.data.image_set import ImageReader, Images, ImageSet, statistics
from trials.data.seeds import RandomStream, generator
from trials.data.sources.arrays import Shape
from trials.data.sources.errors import DataError
from trials.data.sources.file_list import FileSource
from trials.data.sources.held import HeldImages, Indices, held_images
from trials.data.sources.readers import decode_batches
from trials.data.sources.sources import source_of
from trials.heartbeat import beating

__all__ = ["Batches", "DataError", "ImageReader", "ImageSet", "Images", "load_images", "split_halves"]

STATISTICS_IMAGES = 2048
"""Training images from which mean and standard deviation are estimated if the images stay in files."""
TEST_SEED = 0
"""Seed of the test subset: all trials of a sweep are evaluated on the same test images."""


def load_images(config: DataConfig, seed: int, device: torch.device) -> Images:
    """Return the training and test images of a trial.

    Images of an ``image_folder`` or a ``csv`` stay in files. All others are held on ``device``; what was read from disk
    is kept for later trials of the process.

    Args:
        config: source and number of images.
        seed: of the training subset. The test subset is the same for every seed.
        device: of the images, or of the labels if the images stay in files.

    Raises:
        DataError: images are missing or invalid, or fewer than ``config`` asks for.
    """
    source = source_of(config)
    if isinstance(source, FileSource):
        return _images_in_files(source, config, seed, device)
    return _images_on_device(held_images(source), config, seed, device)


def _images_on_device(held: HeldImages, config: DataConfig, seed: int, device: torch.device) -> Images:
    labels = held.labels
    train, test = _subsets(len(labels["train"]), len(labels["test"]), config, seed)
    pixels = torch.from_numpy(held.pixels("train", train)).to(device)
    mean, std = statistics(pixels)
    test_pixels = torch.from_numpy(held.pixels("test", test)).to(device)
    return Images(
        ImageSet(pixels, _select(labels["train"], train, device), mean, std),
        ImageSet(test_pixels, _select(labels["test"], test, device), mean, std),
        len(held.survey.class_names),
        held.survey.class_names,
        held.survey.fingerprint,
    )


def _images_in_files(source: FileSource, config: DataConfig, seed: int, device: torch.device) -> Images:
    listing = source.list_files()
    survey, all_labels = source.survey_of(listing), listing.classes.labels
    train, test = _subsets(len(all_labels["train"]), len(all_labels["test"]), config, seed)
    names = _select_names(listing.files["train"], train)
    labels = _select(all_labels["train"], train, device)
    readers = (config.image_size, survey.shape, config.loader_workers)
    mean, std = (value.to(device) for value in _sampled_statistics(names, *readers))
    images = ImageFiles(names, labels, mean, std, survey.shape, config.image_size, config.loader_workers)
    test_images = replace(
        images,
        files=_select_names(listing.files["test"], test),
        labels=_select(all_labels["test"], test, device),
    )
    return Images(images, test_images, len(survey.class_names), survey.class_names, survey.fingerprint)


def _sampled_statistics(
    names: tuple[str, ...], image_size: int | None, shape: Shape, workers: int
) -> tuple[Tensor, Tensor]:
    """Return mean and standard deviation, float64 [C] each, of a fixed sample of the training images."""
    sample = generator(0, RandomStream.STATISTICS).permutation(len(names))[:STATISTICS_IMAGES]
    batches = ([names[i] for i in part] for part in np.array_split(sample, max(1, len(sample) // 64)))
    pixels = np.concatenate(list(decode_batches(beating(batches), image_size, shape, workers)))
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
