"""The ``ladder:`` block: thresholds, bits and codecs at which a trained network is evaluated."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal, TypedDict

from pydantic import BeforeValidator, Field, model_validator

from trials.config.base import Config, NonNegative
from trials.config.younger_fields import Added

Mode = Literal["absolute", "relative", "share", "error", "budget"]
Calibration = Literal["minmax", "percentile", "mse"]
Correction = Literal["none", "bias"]
Bits = Annotated[int, Field(ge=2, le=32)]


def _several(value: object) -> object:
    """Return a single name as a list of one."""
    return (value,) if isinstance(value, str) else value


Modes = Annotated[
    tuple[Mode, ...],
    Field(min_length=1),
    BeforeValidator(_several, json_schema_input_type=Mode | tuple[Mode, ...]),
]
Calibrations = Annotated[
    tuple[Calibration, ...],
    Field(min_length=1),
    BeforeValidator(_several, json_schema_input_type=Calibration | tuple[Calibration, ...]),
]
Corrections = Annotated[
    tuple[Correction, ...],
    Field(min_length=1),
    BeforeValidator(_several, json_schema_input_type=Correction | tuple[Correction, ...]),
]


class LadderConfig(Config):
    """Inference settings at which every trained network is evaluated, without retraining.

    The rungs are the Cartesian product of the lists. Each rung gives one point.
    """

    threshold: tuple[NonNegative, ...] = Field(default=(0.0, 0.02, 0.05, 0.1, 0.2), min_length=1)
    """tau: features with magnitude below it are set to zero at inference; 0: no pruning, in every mode. The unit is
    that of ``threshold_mode``."""
    threshold_mode: Modes = ("absolute",)
    """Unit of tau. ``absolute``: a feature value; ``relative``: a multiple of each tap's mean |x|; ``share``: the share
    of each tap's features that is zero; ``error``: the relative L2 error of the layer that reads the map (CETT);
    ``budget``: the share of its effective macs that the whole network keeps, at the least error of its output. All but
    ``absolute`` are measured on training images before the evaluation; the last three prune only maps that a
    multiplication reads, and are at most 1. One mode, or a list."""
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
    calibration: Annotated[Calibrations, Added(before=["minmax"])] = ("minmax",)
    """How the range of a quantizer is chosen, per tap from its features on training images, and per output channel of
    a weight. ``minmax``: all values are inside; ``percentile``: the smallest and the largest 0.1% are clipped;
    ``mse``: the range with the least mean squared error. One way, or a list."""
    correction: Annotated[Corrections, Added(before=["none"])] = ("none",)
    """``bias``: the mean error that quantization and pruning make in each output channel of a layer, on training
    images, is subtracted from its bias. One value, or a list of both."""
    outer_bits: Annotated[Bits | None, Added(before=None)] = None
    """Bits of the weights of the first and the last layer, and of the map that the last layer reads, where others are
    quantized; null: those of all others. The image is never quantized."""
    latency: bool = False
    """Also measure the latency of every rung, as deployed, at batch sizes 1 and 64, in milliseconds."""

    @model_validator(mode="after")
    def _check_values(self) -> LadderConfig:
        for name in ("weight_bits", "feature_map_bits", "outer_bits"):
            of_field = getattr(self, name)
            for bits in of_field if isinstance(of_field, tuple) else (of_field,):
                if bits is not None and 8 < bits < 32:
                    raise ValueError(f"`{name}` must be 2 to 8, or 32 for off, but got {bits}")
        for mode in (mode for mode in self.threshold_mode if mode in SHARE_MODES):
            if max(self.threshold) > 1:
                raise ValueError(
                    f"`threshold` must be at most 1 with mode {mode}, but got {max(self.threshold):g}"
                )
        if min(*self.weight_bits, *self.feature_map_bits) == OFF:
            idle = {"calibration": ("minmax",), "outer_bits": None} | (
                {} if any(self.threshold) else {"correction": ("none",)}
            )
            for name, plain in idle.items():
                if (given := getattr(self, name)) != plain:
                    shown = ", ".join(given) if isinstance(given, tuple) else given
                    raise ValueError(f"`{name}` needs weights or feature maps below 32 bits, but got {shown}")
        for name in sorted(LADDER_LISTS - {"latency", "outer_bits"}):
            values = getattr(self, name)
            if len(set(values)) < len(values):
                raise ValueError(f"`{name}` must not name a rung twice, but got {list(values)}")
        return self

    def rungs(self) -> list[Rung]:
        """Return the rungs in evaluation order: the last list varies fastest.

        What changes nothing gives no rung of its own: modes at tau = 0, calibrations at 32 bits, corrections at both.
        """
        return [
            Rung(threshold=t, threshold_mode=m, weight_bits=w, feature_map_bits=f, codec=c, **quantized)
            for t in self.threshold
            for m in (self.threshold_mode if t else self.threshold_mode[:1])
            for w in self.weight_bits
            for f in self.feature_map_bits
            for quantized in self._quantizations(min(w, f) < OFF, t > 0)
            for c in self.codec
        ]

    def _quantizations(self, quantized: bool, pruned: bool) -> list[Quantization]:
        """Return the ways to quantize at given bits and tau: a single one where nothing is quantized or pruned."""
        return [
            Quantization(
                calibration=calibration,
                correction=correction,
                outer_bits=self.outer_bits if quantized else None,
            )
            for calibration in (self.calibration if quantized else ("minmax",))
            for correction in (self.correction if quantized or pruned else ("none",))
        ]


SHARE_MODES = {"share", "error", "budget"}
"""Modes in which calibration images decide on a threshold for each tap, by a share that is at most 1."""
OFF = 32
"""Bits that mean no quantization."""
LADDER_LISTS = {
    "threshold", "threshold_mode", "weight_bits", "feature_map_bits", "calibration", "correction", "outer_bits",
    "codec", "latency",
}  # fmt: skip
"""Fields of the ladder that define rungs. They do not change the trained network, so they are not in the trial key."""


class Quantization(TypedDict):
    """How weights and maps are quantized, at a given number of bits."""

    calibration: str
    correction: str
    outer_bits: int | None


class Rung(Config):
    """One evaluation of a trained network: one row of the points table."""

    threshold: float
    threshold_mode: str
    weight_bits: int
    feature_map_bits: int
    codec: str
    calibration: str = "minmax"
    correction: str = "none"
    outer_bits: int | None = None

    @classmethod
    def of_row(cls, row: Mapping[str, object]) -> Rung:
        """Return the rung of a row of the points table; columns that an older version lacks have their defaults."""
        return cls.model_validate({name: row[name] for name in cls.model_fields if row.get(name) is not None})
