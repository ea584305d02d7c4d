"""Which source a configuration names.

To add a source: one file in this folder, and one line in :func:`source_of`.
"""

from __future__ import annotations

from dataclasses import replace

from trials.config import DataConfig
from trials.data.sources.arrays import ArraySource, Shape, file_versions, read_arrays
from trials.data.sources.cifar10 import Cifar10
from trials.data.sources.csv_list import CsvList
from trials.data.sources.digits import Digits
from trials.data.sources.fashion_mnist import FashionMnist
from trials.data.sources.file_list import FileSource
from trials.data.sources.image_folder import ImageFolder
from trials.data.sources.parquet import ParquetImages
from trials.data.sources.resized import Resized
from trials.data.sources.splits import Split
from trials.data.sources.survey_cache import survey_once
from trials.data.sources.surveys import Survey, survey_of_arrays

Source = ArraySource | ParquetImages | FileSource
"""A source of images: read into memory as a whole, decoded into memory as far as needed, or one file at a time."""


def source_of(config: DataConfig) -> Source:
    """Return the source that ``config`` names, at its image size."""
    if config.name == "parquet":
        return ParquetImages(config.path, config.image_size, config.channels, config.columns)
    if config.name == "image_folder":
        return ImageFolder(config.path, config.image_size, config.channels)
    if config.name == "csv":
        return CsvList(config.path, config.image_size, config.channels, config.columns)
    source = _STANDARD[config.name](config.path)
    return source if config.image_size is None else Resized(source, config.image_size)


_STANDARD: dict[str, type[Digits | FashionMnist | Cifar10]] = {
    "digits": Digits,
    "fashion_mnist": FashionMnist,
    "cifar10": Cifar10,
}


def locate(config: DataConfig) -> None:
    """Check that the images exist or can be downloaded. Cheap, and without torch.

    For a standard data set that is not on disk, this sends one request to its server and downloads nothing.

    Raises:
        DataError: what is missing, where it was searched, and what to do.
    """
    source_of(config).locate()


def survey(config: DataConfig) -> Survey:
    """Return what is known of the images without decoding them. Downloads nothing.

    Raises:
        DataError: images are missing, cannot be used, or do not fit together.
    """
    return survey_of(source_of(config))


def survey_of(source: Source) -> Survey:
    """Return what is known of the images of a source without decoding them. Downloads nothing."""
    if not isinstance(source, ArraySource):
        return source.survey()
    known = source.known()
    if known is not None:
        counts: dict[Split, int] = {
            "train": known.train_images, "validation": 0, "test": known.test_images,
        }  # fmt: skip
        return Survey(source.image_shape(), counts, known.class_names, None)
    original = source.source if isinstance(source, Resized) else source
    version = repr((original, file_versions(original)))
    found = survey_once(version, 0, lambda: survey_of_arrays(read_arrays(original)))
    return replace(found, shape=source.image_shape())


def image_shape(config: DataConfig) -> Shape:
    """Return [C, H, W] of the images.

    Raises:
        DataError: there are no images, or they do not fit together.
    """
    source = source_of(config)
    return source.image_shape() if isinstance(source, ArraySource) else source.survey().shape
