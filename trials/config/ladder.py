"""The ``ladder:`` block: thresholds, bits and codecs, and the rungs that they make."""

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
    """What every trained network is evaluated at; nothing is retrained. The rungs are the product of the lists."""

    threshold: tuple[NonNegative, ...] = Field(default=(0.0, 0.02, 0.05, 0.1, 0.2), min_length=1)
    """tau: features whose magnitude is below it are set to zero at inference."""
    threshold_mode: Modes = ("absolute",)
    """tau as it is, or times each tap's mean |x| on training data (calibrated, then frozen); one or both."""
    weight_bits: tuple[Bits, ...] = Field(default=(32,), min_length=1)
    """Bits of a weight, 2 to 8; 32: off."""
    feature_map_bits: tuple[Bits, ...] = Field(default=(32,), min_length=1)
    """Bits of a feature, 2 to 8; 32: off."""
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
    """How quantized maps and weights are stored; ``best``: the smallest per tap; ``none``: as they are."""
    latency: bool = False
    """Measure the network's latency at batch 1 and 64 as well."""

    @model_validator(mode="after")
    def _sound(self) -> LadderConfig:
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
        """Return the rungs in the order they are evaluated: the last list moves fastest.

        At tau = 0 both modes are the same rung, and there is one.
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
"""Fields of the ladder that make rungs, not trials."""


class Rung(Config):
    """One step of the ladder: one evaluation of a trained network, one row of the points."""

    threshold: float
    threshold_mode: str
    weight_bits: int
    feature_map_bits: int
    codec: str
