"""The ``space:`` block: the search space and the size of the supernet."""

from __future__ import annotations

from typing import Annotated, Literal, TypedDict, cast

from pydantic import Field, model_validator

from search_space.space import SPACES, Activation, StemName, check_fit
from trials.config.base import Config, Count, Positive
from trials.config.younger_fields import Added


class NetworkSizes(TypedDict):
    """Keyword arguments of a ``Network`` that its genotype does not hold."""

    cells: int
    channels: int
    output_node: str
    splitting: int
    width_growth: float
    patch_size: int
    activation: Activation
    stem: StemName


class SupernetSizes(NetworkSizes):
    """Keyword arguments that size a ``Supernet``: a genotype knows its nodes, a supernet does not."""

    nodes: int


class SpaceConfig(Config):
    """The search space and the size of the supernet."""

    name: str = "darts"
    """Search space: ``darts`` (convolutions and pooling), ``hybrid`` (these and self-attention), ``attention``
    (attention and MLPs on image patches), or a registered one."""
    cells: Annotated[int, Field(ge=1, le=1_000)] = 5
    """Number of cells."""
    channels: Count = 8
    """C: node width of the first cell, in channels; doubled at each reduction cell."""
    nodes: Annotated[int, Field(ge=1, le=1_000)] = 4
    """N: intermediate nodes per cell."""
    output_node: Literal["concat", "node_groups", "channel_groups", "partial"] = "node_groups"
    """How the output node joins the N nodes. Its width: N C (``concat``), s C (``node_groups``), C
    (``channel_groups``), C + (N - 1) C / s (``partial``)."""
    splitting: Count = 1
    """s: splitting parameter of the output node. It must divide N (``node_groups``) or C (``channel_groups``,
    ``partial``); no effect with ``concat``."""
    width_growth: Positive = 1.0
    """Factor on the node width of every cell; the result is rounded to whole channels."""
    patch_size: Count = 2
    """Side of an image patch, in pixels (``attention`` space only). It must divide the image size."""
    activation: Annotated[Activation, Added(before="gelu")] = "gelu"
    """Function between the two layers of an MLP (spaces with MLPs only): ``gelu`` makes no zeros; ``relu`` and
    ``relu2``, its square, make half of the hidden features zero and more."""
    stem: Annotated[StemName, Added(before="cifar")] = "cifar"
    """Convolutional stem, as in DARTS (not in the ``attention`` space). ``cifar``: a 3x3 convolution; ``imagenet``:
    three of stride 2, for images of 64 pixels and more: the first cell sees an eighth of their height and width."""

    @model_validator(mode="after")
    def _check_sizes(self) -> SpaceConfig:
        if self.name not in SPACES:
            raise ValueError(f"`space.name` must be one of {', '.join(SPACES)}, but got {self.name!r}")
        check_fit(SPACES[self.name], **self.sizes())
        return self

    def sizes(self) -> SupernetSizes:
        """Return the fields that size a supernet."""
        return cast(SupernetSizes, self.model_dump(exclude={"name"}))
