"""A whole ``trial:`` block, and the keys that name a trial and its search."""

from __future__ import annotations

import hashlib
import json
from typing import Annotated, Any

from pydantic import Field, model_validator

from search_space.space import SPACES, check_fit
from trials.config.base import Config
from trials.config.data import DataConfig
from trials.config.device import DeviceConfig
from trials.config.feature_maps import FeatureMapsConfig
from trials.config.ladder import LADDER_LISTS, LadderConfig
from trials.config.search import SearchConfig
from trials.config.space import SpaceConfig
from trials.config.train import TrainConfig


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
