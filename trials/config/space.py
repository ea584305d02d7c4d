"""The ``space:`` block: the search space and the size of the supernet."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import PositiveInt, model_validator

from search_space.space import SPACES, check_fit
from trials.config.base import Config, Positive


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
    width_growth: Positive = 1.0
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
