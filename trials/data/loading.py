"""Loading of a trial's images: from the source that the configuration names to image sets on the device."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from trials.config import DataConfig
from trials.data.batches import Batches, split_halves
from trials.data.image_files import ImageFiles
from trials.data.image_set import ImageReader, Images, ImageSet, statistics
from trials.data.sampling import stratified
from trials.data.seeds import RandomStream, generator
from trials.data.sources.arrays import Indices, Labels, Shape
from trials.data.sources.errors import DataError
from trials.data.sources.file_list import FileSource
from trials.data.sources.held import HeldImages, held_images
from trials.data.sources.readers import decode_batches
from trials.data.sources.sources import source_of
from trials.data.sources.splits import Split
from trials.data.sources.surveys import Survey
from trials.heartbeat import beating

__all__ = ["Batches", "DataError", "ImageReader", "ImageSet", "Images", "load_images", "split_halves"]

STATISTICS_IMAGES = 2048
"""Training images from which mean and standard deviation are estimated if the images stay in files."""
SHARED_SEED = 0
"""Seed of the test and the validation images: all trials of a sweep are evaluated on the same images."""


Part = tuple[Split, Indices | None]
"""Some images of a split of the data set; None: all of them."""


def load_images(config: DataConfig, seed: int, device: torch.device) -> Images:
    """Return the training, validation and test images of a trial.

    Images of an ``image_folder`` or a ``csv`` stay in files. All others are held on ``device``; what was read from disk
    is kept for later trials of the process.

    Args:
        config: source and number of images.
        seed: of the training subset. Validation and test images are the same for every seed.
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
    chosen = _chosen(labels, config, seed)
    pixels = torch.from_numpy(held.pixels(*chosen["train"])).to(device)
    mean, std = statistics(pixels)

    def images(part: Part, pixels: Tensor) -> ImageSet:
        split, indices = part
        return ImageSet(pixels, _select(labels[split], indices, device), mean, std)

    def others(part: Part) -> ImageSet:
        return images(part, torch.from_numpy(held.pixels(*part)).to(device))

    return _assembled(images(chosen["train"], pixels), chosen, others, held.survey)


def _images_in_files(source: FileSource, config: DataConfig, seed: int, device: torch.device) -> Images:
    listing = source.list_files()
    survey, all_labels = source.survey_of(listing), listing.classes.labels
    chosen = _chosen(all_labels, config, seed)
    split, indices = chosen["train"]
    names = _select_names(listing.files[split], indices)
    labels = _select(all_labels[split], indices, device)
    readers = (config.image_size, survey.shape, config.loader_workers)
    mean, std = (value.to(device) for value in _sampled_statistics(names, *readers))
    images = ImageFiles(names, labels, mean, std, survey.shape, config.image_size, config.loader_workers)

    def others(part: Part) -> ImageFiles:
        split, indices = part
        files = _select_names(listing.files[split], indices)
        return replace(images, files=files, labels=_select(all_labels[split], indices, device))

    return _assembled(images, chosen, others, survey)


def _assembled(
    train: ImageReader, chosen: Mapping[Split, Part], read: Callable[[Part], ImageReader], survey: Survey
) -> Images:
    """Return the images of a trial; ``read`` gives those for the test, and for the validation if there are any."""
    return Images(
        train,
        read(chosen["test"]),
        len(survey.class_names),
        survey.class_names,
        survey.fingerprint,
        read(chosen["validation"]) if "validation" in chosen else None,
    )


def _sampled_statistics(
    names: tuple[str, ...], image_size: int | None, shape: Shape, workers: int
) -> tuple[Tensor, Tensor]:
    """Return mean and standard deviation, float64 [C] each, of a fixed sample of the training images."""
    sample = generator(0, RandomStream.STATISTICS).permutation(len(names))[:STATISTICS_IMAGES]
    batches = ([names[i] for i in part] for part in np.array_split(sample, max(1, len(sample) // 64)))
    pixels = np.concatenate(list(decode_batches(beating(batches), image_size, shape, workers)))
    return statistics(torch.from_numpy(pixels))


def _chosen(labels: Mapping[Split, Labels], config: DataConfig, seed: int) -> dict[Split, Part]:
    """Return which images are for training, validation and test; without validation images, that split is left out.

    A data set with validation images of its own needs no share of the training images.
    """
    available = len(labels["train"])
    wanted = _checked("train_images", config.train_images, available)
    tests = _checked("test_images", config.test_images, len(labels["test"]))
    chosen: dict[Split, Part] = {"test": ("test", _subset(tests, len(labels["test"]), SHARED_SEED))}
    has_own = len(labels.get("validation", ())) > 0
    held_out = 0 if has_own else round(wanted * config.validation_share)
    if not held_out:
        if has_own and config.validation_share:
            chosen["validation"] = ("validation", None)
        return chosen | {"train": ("train", _subset(wanted, available, seed))}
    validation = stratified(labels["train"], held_out, generator(SHARED_SEED, RandomStream.VALIDATION))
    rest = np.setdiff1d(np.arange(available), validation)
    of_rest = _subset(wanted - held_out, len(rest), seed)
    training = rest if of_rest is None else rest[of_rest]
    return chosen | {"train": ("train", training), "validation": ("train", validation)}


def _checked(name: str, count: int | None, available: int) -> int:
    """Return the number of images to use."""
    if count is not None and count > available:
        raise DataError(f"`data.{name}` must be at most the {available} there are, but got {count}")
    return available if count is None else count


def _subset(count: int, available: int, seed: int) -> Indices | None:
    """Return the indices of a random subset; None: all."""
    if count == available:
        return None
    return generator(seed, RandomStream.SUBSET).permutation(available)[:count]


def _select(labels: Labels, indices: Indices | None, device: torch.device) -> Tensor:
    return torch.from_numpy(labels if indices is None else labels[indices]).to(device)


def _select_names(files: tuple[str, ...], indices: Indices | None) -> tuple[str, ...]:
    return files if indices is None else tuple(files[i] for i in indices)
