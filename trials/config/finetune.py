"""The ``finetune:`` block: further training of the trained network, with what the ladder will do to it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AliasChoices, Field, model_validator

from search_space.space import Activation
from trials.config.base import Config, CountOrZero, NonNegative, Positive
from trials.config.ladder import OFF, SHARE_MODES, Bits, Calibration, Mode


class FinetuneConfig(Config):
    """Fine-tuning of the trained network. Trials that differ in this block only share one training.

    Thresholds and quantizers are part of the forward pass; their gradient is that of the identity (straight-through
    estimator, Bengio et al. 2013).
    """

    epochs: CountOrZero = 0
    """Epochs of the fine-tuning; 0: off."""
    learning_rate: Positive = 0.0025
    """Initial learning rate of SGD; cosine decay to 0. The other settings of SGD are those of ``train``."""
    regularization: NonNegative | None = None
    """lambda in the fine-tuning; null: ``feature_maps.regularization``."""
    start: Annotated[
        Literal["trained", "previous"], Field(validation_alias=AliasChoices("from", "start"))
    ] = "trained"
    """Written ``from``. ``trained``: start at the trained network; ``previous``: where ``finetune.regularization`` is
    swept over a list, each lambda starts at the fine-tuned network of the next smaller one."""
    path: tuple[NonNegative, ...] = ()
    """Values of lambda at which the network is fine-tuned before, one after the other, for ``epochs`` each. ``from:
    previous`` fills them in."""
    threshold: NonNegative = 0.0
    """tau in the fine-tuning; 0: no pruning."""
    threshold_mode: Mode = "absolute"
    """Unit of tau, as in ``ladder.threshold_mode``. What it depends on is measured again before every epoch."""
    weight_bits: Bits = OFF
    """Bits per weight in the fine-tuning: 2 to 8, or 32 for weights that are not quantized."""
    feature_map_bits: Bits = OFF
    """Bits per feature in the fine-tuning: 2 to 8, or 32 for feature maps that are not quantized."""
    calibration: Calibration = "minmax"
    """How the range of a quantizer is chosen, as in ``ladder.calibration``. Ranges are measured before every epoch."""
    activation: Activation | None = None
    """Function between the two layers of an MLP from here on; null: ``space.activation``."""

    @model_validator(mode="after")
    def _check_values(self) -> FinetuneConfig:
        for name in ("weight_bits", "feature_map_bits"):
            if 8 < getattr(self, name) < OFF:
                raise ValueError(f"`{name}` must be 2 to 8, or 32 for off, but got {getattr(self, name)}")
        if self.threshold > 1 and self.threshold_mode in SHARE_MODES:
            raise ValueError(
                f"`threshold` must be at most 1 with mode {self.threshold_mode}, but got {self.threshold:g}"
            )
        if self.calibration != "minmax" and not self.quantizes:
            raise ValueError(
                f"`calibration` needs weights or feature maps below 32 bits, but got {self.calibration}"
            )
        return self

    @property
    def quantizes(self) -> bool:
        """Whether weights or feature maps are quantized."""
        return min(self.weight_bits, self.feature_map_bits) < OFF

    def previous(self) -> FinetuneConfig:
        """Return the fine-tuning before this one: off for the first."""
        if not self.path:
            return FinetuneConfig()
        return self.model_copy(update={"path": self.path[:-1], "regularization": self.path[-1]})
