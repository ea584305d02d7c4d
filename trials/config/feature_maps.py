"""The ``feature_maps:`` block: the lambda term."""

from __future__ import annotations

from typing import Literal

from trials.config.base import Config, NonNegative


class FeatureMapsConfig(Config):
    """Feature-map regularization: the lambda term."""

    regularization: NonNegative = 0.0
    """lambda: weight of the term; 0 leaves training bit-identical to no term at all."""
    measure: Literal["l1", "hoyer"] = "l1"
    """What is summed over the taps: mean |x|, or the Hoyer-square measure of each image, averaged."""
    taps: tuple[str, ...] = ("*",)
    """Patterns of the taps that take part, such as ``*.query`` or ``cell3.*``."""
    in_search: bool = False
    """Add the term to the weights' loss in the supernet search too."""
