"""Where images come from: one file a source, none of which needs torch. Checks are cheap, reading is not.

Every source is a small immutable object that can say whether its files are there (``locate``), how large its
images are (``image_shape``), and read them. A new source is one file here and one line in :func:`source_of`.
"""

from __future__ import annotations

from trials.config import DataConfig
from trials.sources.arrays import Arrays, Shape
from trials.sources.cifar10 import Cifar10
from trials.sources.digits import Digits
from trials.sources.errors import DataError
from trials.sources.fashion_mnist import FashionMnist
from trials.sources.image_folder import FileList, ImageFolder
from trials.sources.parquet import ParquetImages

__all__ = [
    "Arrays",
    "DataError",
    "FileList",
    "ImageFolder",
    "ReadSource",
    "Shape",
    "Source",
    "image_shape",
    "locate",
    "source_of",
]

ReadSource = Digits | FashionMnist | Cifar10 | ParquetImages
"""Sources that are read whole."""

Source = ReadSource | ImageFolder


def source_of(config: DataConfig) -> Source:
    """Return the source that a configuration names; DataError where it asks for what that source has not."""
    if config.image_size is not None and config.name not in ("parquet", "image_folder"):
        raise DataError(f"`data.image_size` needs the source parquet or image_folder, but got {config.name}")
    match config.name:
        case "digits":
            return Digits(config.path)
        case "fashion_mnist":
            return FashionMnist(config.path)
        case "cifar10":
            return Cifar10(config.path)
        case "parquet":
            return ParquetImages(config.path, config.image_size)
        case "image_folder":
            return ImageFolder(config.path, config.image_size)


def locate(config: DataConfig) -> None:
    """Check that the images are there, or can be fetched; cheap, and without torch.

    A standard data set that is in none of the usual places is asked for at its server (one request, no
    download). Raises DataError that names what is looked for, where, and what to do.
    """
    source_of(config).locate()


def image_shape(config: DataConfig) -> Shape:
    """Return [C, H, W] of the images; at most one image is read. Raises DataError where there is none."""
    return source_of(config).image_shape()
