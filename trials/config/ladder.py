"""The ``ladder:`` block: thresholds, bits and codecs at which a trained network is evaluated."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from trials.config.base import Config, NonNegative

Mode = Literal["absolute", "relative"]
Modes = Annotated[
    tuple[Mode, ...],
    Field(min_length=1),
    BeforeValidator(
        lambda value: (value,) if isinstance(value, str) else value,
        json_schema_input_type=Mode | tuple[Mode, ...],
    ),
]
Bits = Annotated[int, Field(ge=2, le=32)]


class LadderConfig(Config):
    """Inference settings at which every trained network is evaluated, without retraining.

    The rungs are the Cartesian product of the lists. Each rung gives one point.
    """

    threshold: tuple[NonNegative, ...] = Field(default=(0.0, 0.02, 0.05, 0.1, 0.2), min_length=1)
    """tau: features with magnitude below it are set to zero at inference; 0: no pruning. The unit is that of
    ``threshold_mode``."""
    threshold_mode: Modes = ("absolute",)
    """Unit of tau. ``absolute``: a feature value; ``relative``: a multiple of each tap's mean |x|, measured on training
    images before the evaluation. One mode, or a list of both."""
    weight_bits: tuple[Bits, ...] = Field(default=(32,), min_length=1)
    """Bits per weight: 2 to 8, or 32 for weights that are not quantized."""
    feature_map_bits: tuple[Bits, ...] = Field(default=(32,), min_length=1)
    """Bits per feature: 2 to 8, or 32 for feature maps that are not quantized."""
    codec: tuple[
        Literal[
            "none",
            "best",
            "exponential_golomb",
            "sparse_exponential_golomb",
            "golomb_rice",
            "zero_value",
            "fixed_length",
        ],
        ...,
    ] = Field(default=("best",), min_length=1)
    """Lossless code of the stored feature maps and weights. ``best``: the smallest for each tensor; ``none``: fixed
    number of bits."""
    latency: bool = False
    """Also measure the latency of the network at batch sizes 1 and 64, in milliseconds."""

    @model_validator(mode="after")
    def _check_values(self) -> LadderConfig:
        for name in ("weight_bits", "feature_map_bits"):
            for bits in getattr(self, name):
                if 8 < bits < 32:
                    raise ValueError(f"`{name}` must be 2 to 8, or 32 for off, but got {bits}")
        for name in sorted(LADDER_LISTS - {"latency"}):
            values = getattr(self, name)
            if len(set(values)) < len(values):
                raise ValueError(f"`{name}` must not name a rung twice, but got {list(values)}")
        return self

    def rungs(self) -> list[Rung]:
        """Return the rungs in evaluation order: the last list varies fastest.

        tau = 0 gives one rung for both modes, because they agree there.
        """
        return [
            Rung(threshold=t, threshold_mode=m, weight_bits=w, feature_map_bits=f, codec=c)
            for t in self.threshold
            for m in (self.threshold_mode if t else self.threshold_mode[:1])
            for w in self.weight_bits
            for f in self.feature_map_bits
            for c in self.codec
        ]


LADDER_LISTS = {"threshold", "threshold_mode", "weight_bits", "feature_map_bits", "codec", "latency"}
"""Fields of the ladder that define rungs. They do not change the trained network, so they are not in the trial key."""


class Rung(Config):
    """One evaluation of a trained network: one row of the points table."""

    threshold: float
    threshold_mode: str
    weight_bits: int
    feature_map_bits: int
    codec: str
