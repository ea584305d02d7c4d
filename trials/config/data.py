"""The ``data:`` block: image source, batches and augmentation."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import model_validator

from trials.config.base import BelowOne, Config, Count, CountOrZero
from trials.config.younger_fields import Added

_CHOSEN_COLUMNS = ("parquet", "csv")
"""Sources whose columns may have other names."""
_ENCODED = ("parquet", "image_folder", "csv")
"""Sources whose images are PNG, JPEG, ... files."""


class ColumnsConfig(Config):
    """Names of the columns of a table of images."""

    image: str = "image"
    """The images: encoded files, or structs with a field ``bytes`` (parquet); paths relative to the table (csv)."""
    label: str = "label"
    """The classes: numbers from 0 or from 1 without gaps, or names."""
    split: str = "split"
    """``train``, ``test`` or ``validation``. Not needed if the names of files or folders say it, such as
    ``train-00000-of-00002.parquet``."""


STANDARD_COLUMNS = ColumnsConfig()


class DataConfig(Config):
    """Images: source, size, number, batches and augmentation."""

    name: Literal["digits", "fashion_mnist", "cifar10", "parquet", "image_folder", "csv"] = "digits"
    """Image source. ``digits`` comes with scikit-learn: 1,797 images of 8x8 pixels, no download."""
    path: str | None = None
    """Folder of the images, or file or pattern such as ``data/train-*.parquet`` (parquet, csv). A relative path may
    also be relative to ``$SHRINKSWEEP_DATA``. null: search that folder and the download cache, then download
    (fashion_mnist, cifar10)."""
    columns: Annotated[
        ColumnsConfig, Added(before={"image": "image", "label": "label", "split": "split"})
    ] = STANDARD_COLUMNS
    """Names of the columns (parquet, csv)."""
    channels: Annotated[Literal[1, 3] | None, Added(before=None)] = None
    """Channels to which image files are converted: 1 is grey, 3 is colour. null: 3 if any image of the data set has
    colour."""
    batch_size: Count = 64
    """Images per step, summed over all workers of the trial; a multiple of ``resources.workers``."""
    train_images: Count | None = None
    """Number of training images, those for validation included: a random subset that depends on the seed; null: all."""
    validation_share: Annotated[BelowOne, Added(before=0.0)] = 0.1
    """Share of the training images that search and training never see: every point is measured on them, and chosen by
    what it reaches there. The same images for every seed, with each class at its share. A data set with validation
    images of its own uses all of those instead. 0: none, and points are measured on the test images."""
    test_images: Count | None = None
    """Number of test images: a random subset, the same for every seed; null: all."""
    crop_padding: CountOrZero = 0
    """Random crop of training images: zero-padding on each side, in pixels, before cropping to the original size;
    0: off."""
    flip: bool = False
    """Flip each training image left to right with probability 1/2."""
    cutout: CountOrZero = 0
    """Cutout of training images: side of a square at a random position that is set to the mean, in pixels; 0: off."""
    image_size: Count | None = None
    """Side of the images after resizing, in pixels; null: original size. Images that are not square are cropped at the
    centre first."""
    loader_workers: CountOrZero = 2
    """Processes per worker that decode image files (image_folder and csv); 0: the worker decodes them itself."""

    @model_validator(mode="after")
    def _check_source(self) -> DataConfig:
        if self.columns != STANDARD_COLUMNS and self.name not in _CHOSEN_COLUMNS:
            raise ValueError(f"`data.columns` must be left out for {self.name}, which has no table")
        if self.channels is not None and self.name not in _ENCODED:
            raise ValueError(f"`data.channels` must be null for {self.name}, but got {self.channels}")
        return self
