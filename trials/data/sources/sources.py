"""Which source a configuration names.

To add a source: one file in this folder, and one line in :func:`source_of`.
"""

from __future__ import annotations

from trials.config import DataConfig
from trials.data.sources.arrays import ArraySource, Shape
from trials.data.sources.cifar10 import Cifar10
from trials.data.sources.digits import Digits
from trials.data.sources.fashion_mnist import FashionMnist
from trials.data.sources.image_folder import ImageFolder
from trials.data.sources.parquet import ParquetImages
from trials.data.sources.resized import Resized

Source = ArraySource | ImageFolder
"""A source of images: read into memory as a whole, or one file at a time."""


def source_of(config: DataConfig) -> Source:
    """Return the source that ``config`` names, at its image size."""
    if config.name == "parquet":
        return ParquetImages(config.path, config.image_size)
    if config.name == "image_folder":
        return ImageFolder(config.path, config.image_size)
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


def image_shape(config: DataConfig) -> Shape:
    """Return [C, H, W] of the images. Reads at most one image.

    Raises:
        DataError: there are no images.
    """
    return source_of(config).image_shape()
