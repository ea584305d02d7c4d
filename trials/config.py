"""What one trial is: every number that decides its result, checked where it is made. Imports no torch.

A sweep file's ``trial:`` block is a :class:`TrialConfig`; every leaf can be swept by its dotted path
(``space.splitting``, ``feature_maps.regularization``, ``search.epochs``, ``seed``).
"""

from __future__ import annotations

import hashlib
import json
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    NonNegativeFloat,
    PositiveInt,
    model_validator,
)

from search_space.space import SPACES, check_fit


def _number(value: Any) -> Any:
    """YAML 1.1 reads ``1e-6`` (no dot) as text: take it as the number it is."""
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            return value
    return value


Real = Annotated[float, BeforeValidator(_number)]
NonNegative = Annotated[NonNegativeFloat, BeforeValidator(_number)]
Fraction01 = Annotated[float, Field(ge=0, le=1), BeforeValidator(_number)]
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


class Config(BaseModel):
    """Immutable, keyword-only, and unknown keys are errors."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, validate_default=True, use_attribute_docstrings=True
    )


class SpaceConfig(Config):
    """The search space and the size of the supernet."""

    name: str = "darts"
    """A registered search space: darts, hybrid or attention."""
    cells: PositiveInt = 5
    """Cells in the stack."""
    channels: PositiveInt = 8
    """Node width C of the first cell; doubled at each reduction."""
    nodes: PositiveInt = 4
    """Intermediate nodes N in a cell."""
    output_node: Literal["concat", "node_groups", "channel_groups", "partial"] = "node_groups"
    """How the output node joins the intermediate nodes."""
    splitting: PositiveInt = 1
    """The splitting parameter s of the output node."""
    width_growth: Annotated[float, Field(gt=0), BeforeValidator(_number)] = 1.0
    """Multiplies the node width of every cell."""
    patch_size: PositiveInt = 2
    """Pixels a side of one patch; used by the patch embedding only."""

    @model_validator(mode="after")
    def _fits(self) -> SpaceConfig:
        if self.name not in SPACES:
            raise ValueError(f"`space.name` must be one of {', '.join(SPACES)}, but got {self.name!r}")
        check_fit(SPACES[self.name], **self.sizes())
        return self

    def sizes(self) -> dict[str, Any]:
        """Return the fields that size a network, as keyword arguments of ``search_space.space.check_fit``."""
        return self.model_dump(exclude={"name"})


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


class SearchConfig(Config):
    """The bilevel search on the supernet."""

    algorithm: Literal["darts", "darts_second_order", "pc_darts"] = "darts"
    """Which search algorithm moves the alphas."""
    epochs: Annotated[int, Field(ge=0)] = 10
    """Epochs of the search; 0: derive from the initial alphas (a seeded random architecture)."""
    learning_rate: Annotated[float, Field(gt=0), BeforeValidator(_number)] = 0.025
    """Peak rate of SGD on the weights; cosine down to ``learning_rate_min``."""
    learning_rate_min: NonNegative = 0.001
    """Rate of SGD at the end of the search."""
    momentum: Fraction01 = 0.9
    """Momentum of SGD."""
    weight_decay: NonNegative = 3e-4
    """Weight decay of SGD on the weights."""
    alpha_learning_rate: Annotated[float, Field(gt=0), BeforeValidator(_number)] = 3e-4
    """Rate of Adam on the alphas (betas 0.5, 0.999)."""
    alpha_weight_decay: NonNegative = 1e-3
    """Weight decay of Adam on the alphas."""
    alpha_warmup_epochs: Annotated[int, Field(ge=0)] = 0
    """Epochs in which only the weights learn."""
    gradient_clip: Annotated[float, Field(gt=0), BeforeValidator(_number)] = 5.0
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
    learning_rate: Annotated[float, Field(gt=0), BeforeValidator(_number)] = 0.025
    """Peak rate of SGD; cosine down to 0."""
    momentum: Fraction01 = 0.9
    """Momentum of SGD."""
    weight_decay: NonNegative = 3e-4
    """Weight decay of SGD."""
    gradient_clip: Annotated[float, Field(gt=0), BeforeValidator(_number)] = 5.0
    """Largest norm of the gradient of the whole network."""
    validation_share: Annotated[float, Field(ge=0, lt=1), BeforeValidator(_number)] = 0.0
    """Share of the training images held out to report a validation accuracy every epoch."""
    drop_path: Annotated[float, Field(ge=0, lt=1), BeforeValidator(_number)] = 0.0
    """Drop-path probability at the last epoch, rising linearly from 0."""


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


class DeviceConfig(Config):
    """How a worker computes."""

    precision: Literal["float32", "bf16", "float64"] = "float32"
    """Arithmetic of the forward and backward pass; bf16 is autocast."""
    threads: PositiveInt = 1
    """CPU threads a worker."""
    sync_batch_norm: bool = True
    """Batch statistics over all workers of a gang, so that n workers compute what one would."""


class TrialConfig(Config):
    """Everything that decides a trial's result."""

    seed: Annotated[int, Field(ge=0)] = 0
    """Seed of weights, data order and augmentation."""
    space: SpaceConfig = SpaceConfig()
    data: DataConfig = DataConfig()
    search: SearchConfig = SearchConfig()
    train: TrainConfig = TrainConfig()
    feature_maps: FeatureMapsConfig = FeatureMapsConfig()
    ladder: LadderConfig = LadderConfig()
    device: DeviceConfig = DeviceConfig()

    @model_validator(mode="after")
    def _network_fits(self) -> TrialConfig:
        """The discrete network may be wider or deeper than the supernet, PC-DARTS sees fewer channels."""
        space = SPACES[self.space.name]
        check_fit(space, **self.network_sizes())
        if self.search.algorithm == "pc_darts":
            check_fit(space, **self.space.sizes(), partial_channels=self.search.partial_channels)
        return self

    def network_sizes(self) -> dict[str, Any]:
        """Return the sizes of the discrete network, as keyword arguments of ``search_space.space.check_fit``."""
        own = {"cells": self.train.cells, "channels": self.train.channels}
        return self.space.sizes() | {name: value for name, value in own.items() if value is not None}

    def check_images(self, shape: tuple[int, int, int]) -> None:
        """Check that images of ``shape`` [C, H, W] are large enough for supernet and discrete network.

        Raises:
            SpaceError: they are not.
        """
        for sizes in (self.space.sizes(), self.network_sizes()):
            check_fit(SPACES[self.space.name], **sizes, input_shape=shape)

    def canonical(self) -> str:
        """Return the configuration as JSON with sorted keys: equal configurations give equal text."""
        return json.dumps(self.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))

    def trial_key(self) -> str:
        """Return 16 hex digits that name this configuration and seed.

        The rungs are left out: they are evaluations of the same trained network, and adding one must not make
        another trial of it.
        """
        return _digest(self.model_dump(mode="json", exclude={"ladder": LADDER_LISTS}))

    def search_key(self) -> str:
        """Return what names the search of this trial: equal for trials that differ only in what comes after it."""
        content = self.model_dump(mode="json", include={"seed", "space", "data", "search", "device"})
        if self.feature_maps.regularization and (
            self.feature_maps.in_search or self.search.regularize_alphas
        ):
            content["feature_maps"] = self.feature_maps.model_dump(mode="json")
        return f"search-{_digest(content)}"


def _digest(content: dict[str, Any]) -> str:
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]
