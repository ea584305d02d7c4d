"""The ``data:`` block: image source, batches and augmentation."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, PositiveInt

from trials.config.base import Config


class DataConfig(Config):
    """Images: source, size, number, batches and augmentation."""

    name: Literal["digits", "fashion_mnist", "cifar10", "parquet", "image_folder"] = "digits"
    """Image source. ``digits`` comes with scikit-learn: 1,797 images of 8x8 pixels, no download."""
    path: str | None = None
    """File (parquet) or folder (fashion_mnist, cifar10, image_folder) of the images. A relative path may also be
    relative to ``$SHRINKSWEEP_DATA``. null: search that folder and the download cache, then download (fashion_mnist,
    cifar10)."""
    batch_size: PositiveInt = 64
    """Images per step, summed over all workers of the trial; a multiple of ``resources.workers``."""
    train_images: PositiveInt | None = None
    """Number of training images: a random subset that depends on the seed; null: all."""
    test_images: PositiveInt | None = None
    """Number of test images: a random subset, the same for every seed; null: all."""
    crop_padding: Annotated[int, Field(ge=0)] = 0
    """Random crop of training images: zero-padding on each side, in pixels, before cropping to the original size;
    0: off."""
    flip: bool = False
    """Flip each training image left to right with probability 1/2."""
    cutout: Annotated[int, Field(ge=0)] = 0
    """Cutout of training images: side of a square at a random position that is set to the mean, in pixels; 0: off."""
    image_size: PositiveInt | None = None
    """Side of the images after resizing, in pixels; null: original size. Images that are not square are cropped at the
    centre first."""
    loader_workers: Annotated[int, Field(ge=0)] = 2
    """Processes per worker that decode image files (image_folder only); 0: the worker decodes them itself."""
