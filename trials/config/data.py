"""The ``data:`` block: the images, and how a batch is made."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, PositiveInt

from trials.config.base import Config


class DataConfig(Config):
    """The images: where they come from and how a batch is made."""

    name: Literal["digits", "fashion_mnist", "cifar10", "parquet", "image_folder"] = "digits"
    """The source of the images."""
    path: str | None = None
    """Folder (fashion_mnist, cifar10, image_folder) or file (parquet) of the images; null: the usual places."""
    batch_size: PositiveInt = 64
    """Images a step, over all workers of the gang together."""
    train_images: PositiveInt | None = None
    """Use only the first so many training images, in a seeded order; null: all."""
    test_images: PositiveInt | None = None
    """Use only the first so many test images, in a seeded order; null: all."""
    crop_padding: Annotated[int, Field(ge=0)] = 0
    """Random crop out of the image padded by so many pixels a side; 0: off."""
    flip: bool = False
    """Mirror half of the training images."""
    cutout: Annotated[int, Field(ge=0)] = 0
    """Side in pixels of the square that is set to the mean; 0: off."""
    image_size: PositiveInt | None = None
    """Resize images to this many pixels a side; null: as they are."""
    loader_workers: Annotated[int, Field(ge=0)] = 2
    """Reader processes a rank (image_folder only)."""
