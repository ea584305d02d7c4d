"""Which source a configuration names, and the cheap questions to it.

Every source is a small immutable object that can say whether its files are there (``locate``), how large its
images are (``image_shape``), and read them. A new source is one file here and one line in :func:`source_of`.
"""

from __future__ import annotations

from trials.config import DataConfig
from trials.data.sources.arrays import Shape
from trials.data.sources.cifar10 import Cifar10
from trials.data.sources.digits import Digits
from trials.data.sources.fashion_mnist import FashionMnist
from trials.data.sources.image_folder import ImageFolder
from trials.data.sources.parquet import ParquetImages
from trials.data.sources.resized import Resized

ReadSource = Digits | FashionMnist | Cifar10 | Resized | ParquetImages
"""Sources that are read whole."""

Source = ReadSource | ImageFolder


def source_of(config: DataConfig) -> Source:
    """Return the source that a configuration names, at the size that it asks for."""
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
    """Check that the images are there, or can be fetched; cheap, and without torch.

    A standard data set that is in none of the usual places is asked for at its server (one request, no
    download). Raises DataError that names what is looked for, where, and what to do.
    """
    source_of(config).locate()


def image_shape(config: DataConfig) -> Shape:
    """Return [C, H, W] of the images; at most one image is read. Raises DataError where there is none."""
    return source_of(config).image_shape()
