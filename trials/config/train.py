"""The ``train:`` block: the training of the discrete network."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from trials.config.base import BelowOne, Config, Count, Fraction01, NonNegative, Positive


class TrainConfig(Config):
    """Training of the discrete network from scratch. Optimizer defaults are those of the DARTS paper."""

    epochs: Count = 20
    """Epochs of the training."""
    cells: Annotated[int, Field(ge=1, le=1_000)] | None = None
    """Number of cells of the discrete network; null: ``space.cells``."""
    channels: Count | None = None
    """Node width of the discrete network's first cell, in channels; null: ``space.channels``."""
    batch_size: Count | None = None
    """Images per step, summed over all workers of the trial; null: ``data.batch_size``."""
    learning_rate: Positive = 0.025
    """Initial learning rate of SGD; cosine decay to 0."""
    momentum: Fraction01 = 0.9
    """Momentum of SGD."""
    weight_decay: NonNegative = 3e-4
    """Weight decay of SGD."""
    gradient_clip: Positive = 5.0
    """Maximum L2 norm of the gradient of all weights; larger gradients are scaled down to it."""
    validation_share: BelowOne = 0.0
    """Share of the training images that is held out of the training (not of the search); the validation accuracy of
    every epoch is measured on it. Not the images of ``data.validation_share``. 0: none."""
    drop_path: BelowOne = 0.0
    """Drop-path probability: rises linearly from 0 to this value over the training; 0: off."""
