"""The ``search:`` block: the bilevel search on the supernet."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, PositiveInt

from trials.config.base import Config, Fraction01, NonNegative, Positive


class SearchConfig(Config):
    """The bilevel search on the supernet."""

    algorithm: Literal["darts", "darts_second_order", "pc_darts"] = "darts"
    """Which search algorithm moves the alphas."""
    epochs: Annotated[int, Field(ge=0)] = 10
    """Epochs of the search; 0: derive from the initial alphas (a seeded random architecture)."""
    learning_rate: Positive = 0.025
    """Peak rate of SGD on the weights; cosine down to ``learning_rate_min``."""
    learning_rate_min: NonNegative = 0.001
    """Rate of SGD at the end of the search."""
    momentum: Fraction01 = 0.9
    """Momentum of SGD."""
    weight_decay: NonNegative = 3e-4
    """Weight decay of SGD on the weights."""
    alpha_learning_rate: Positive = 3e-4
    """Rate of Adam on the alphas (betas 0.5, 0.999)."""
    alpha_weight_decay: NonNegative = 1e-3
    """Weight decay of Adam on the alphas."""
    alpha_warmup_epochs: Annotated[int, Field(ge=0)] = 0
    """Epochs in which only the weights learn."""
    gradient_clip: Positive = 5.0
    """Largest norm of the weight gradient of the whole supernet."""
    cost_pressure: NonNegative = 0.0
    """Weight of log(expected macs) added to the alpha loss; 0: off."""
    stop_when_skips_exceed: Fraction01 | None = None
    """Stop the search early when more than this share of the genotype's edges are skip connections."""
    partial_channels: PositiveInt = 4
    """K of PC-DARTS: primitives see a K-th of the channels (pc_darts only)."""
    recompute: bool = False
    """Recompute each cell in the backward pass: a tenth of the activation memory for about a third more time."""
    regularize_alphas: bool = False
    """Add the feature-map term to the alpha loss too, so that the architecture prefers sparse maps."""
