"""The ``search:`` block: the bilevel search on the supernet."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import model_validator

from search_space.genotype import Genotype
from trials.config.architecture import Architecture, genotype_of
from trials.config.base import Config, Count, CountOrZero, Fraction01, NonNegative, Positive
from trials.config.younger_fields import Added


class SearchConfig(Config):
    """The bilevel search on the supernet. Defaults of both optimizers are those of the DARTS paper."""

    algorithm: Literal["darts", "darts_second_order", "pc_darts", "none"] = "darts"
    """Search algorithm; ``darts`` is first-order DARTS. ``none``: a baseline without a search, which trains
    ``genotype``; the other fields have no effect."""
    genotype: Annotated[Architecture | None, Added(before=None)] = None
    """Architecture of a trial without a search (algorithm ``none`` only): ``random`` (drawn by the seed), a published
    one (``DARTS_V1``, ``DARTS_V2``, ``PC_DARTS_cifar``, ``NASNet``, ``AmoebaNet``), the text of a genotype as the
    papers print it or as the column ``genotype`` has it, or a file with that text. It must have ``space.nodes``
    nodes."""
    epochs: CountOrZero = 10
    """Epochs of the search; 0: derive the genotype from the initial alphas (a random architecture of the seed)."""
    learning_rate: Positive = 0.025
    """Initial learning rate of SGD on the weights; cosine decay to ``learning_rate_min``."""
    learning_rate_min: NonNegative = 0.001
    """Final learning rate of SGD on the weights."""
    momentum: Fraction01 = 0.9
    """Momentum of SGD on the weights."""
    weight_decay: NonNegative = 3e-4
    """Weight decay of SGD on the weights."""
    alpha_learning_rate: Positive = 3e-4
    """Constant learning rate of Adam on the alphas (betas 0.5, 0.999)."""
    alpha_weight_decay: NonNegative = 1e-3
    """Weight decay of Adam on the alphas."""
    alpha_warmup_epochs: CountOrZero = 0
    """First epochs, in which only the weights are trained and the alphas are fixed."""
    gradient_clip: Positive = 5.0
    """Maximum L2 norm of the gradient of all weights; larger gradients are scaled down to it."""
    cost_pressure: NonNegative = 0.0
    """Weight of log(expected macs) in the loss of the alphas; 0: off."""
    stop_when_skips_exceed: Fraction01 | None = None
    """Early stopping: end the search once skip connections are more than this share of the genotype's edges;
    null: off."""
    partial_channels: Count = 4
    """K of PC-DARTS: each primitive sees 1/K of the channels (pc_darts only). It must divide the node width. The
    default is that of the PC-DARTS paper."""
    recompute: bool = False
    """Gradient checkpointing: recompute each cell in the backward pass. About a tenth of the activation memory for a
    third more time."""
    regularize_alphas: bool = False
    """Also add the feature-map term (``feature_maps.regularization``) to the loss of the alphas, so that the search
    prefers architectures with sparse feature maps."""

    @model_validator(mode="after")
    def _check_genotype(self) -> SearchConfig:
        if (self.algorithm == "none") != (self.genotype is not None):
            raise ValueError(
                "`genotype` must be given with algorithm none, and with no other, but got "
                f"algorithm={self.algorithm}, genotype={self.genotype}"
            )
        return self

    def given(self) -> Genotype | None:
        """Return the genotype that is written in the configuration; None if it is searched or random."""
        return None if self.genotype is None else genotype_of(self.genotype)
