"""The ``train:`` block: the training of the derived network."""

from __future__ import annotations

from pydantic import PositiveInt

from trials.config.base import BelowOne, Config, Fraction01, NonNegative, Positive


class TrainConfig(Config):
    """The training of the derived discrete network, from scratch."""

    epochs: PositiveInt = 20
    """Epochs of the training."""
    cells: PositiveInt | None = None
    """Cells of the discrete network; null: as in the search."""
    channels: PositiveInt | None = None
    """Node width of the discrete network; null: as in the search."""
    batch_size: PositiveInt | None = None
    """Images a step; null: ``data.batch_size``."""
    learning_rate: Positive = 0.025
    """Peak rate of SGD; cosine down to 0."""
    momentum: Fraction01 = 0.9
    """Momentum of SGD."""
    weight_decay: NonNegative = 3e-4
    """Weight decay of SGD."""
    gradient_clip: Positive = 5.0
    """Largest norm of the gradient of the whole network."""
    validation_share: BelowOne = 0.0
    """Share of the training images held out to report a validation accuracy every epoch."""
    drop_path: BelowOne = 0.0
    """Drop-path probability at the last epoch, rising linearly from 0."""
