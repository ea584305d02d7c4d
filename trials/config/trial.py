"""The whole ``trial:`` block, and the keys that identify a trial and its search."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Annotated, Literal, cast

from pydantic import Field, model_validator

from search_space.genotype import Genotype
from search_space.published import EXTRA_PRIMITIVES
from search_space.space import SPACES, check_fit
from trials.config.base import Config
from trials.config.data import DataConfig
from trials.config.device import DeviceConfig
from trials.config.feature_maps import FeatureMapsConfig
from trials.config.finetune import FinetuneConfig
from trials.config.ladder import LADDER_LISTS, LadderConfig
from trials.config.search import SearchConfig
from trials.config.space import NetworkSizes, SpaceConfig
from trials.config.train import TrainConfig
from trials.config.younger_fields import Added, identity

Streams = Literal["separate", "shared"]


class TrialConfig(Config):
    """Everything that determines the result of a trial."""

    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    """Seed of initial weights, data order, augmentation and the subset of training images."""
    streams: Annotated[Streams, Added(before="shared")] = "separate"
    """Random numbers of the parts of a trial. ``separate``: each part has its own; ``shared``: as in version 0.1, where
    the training of seed 0 drew the same order and augmentation as the search of seeds 1 and 2."""
    space: SpaceConfig = SpaceConfig()
    data: DataConfig = DataConfig()
    search: SearchConfig = SearchConfig()
    train: TrainConfig = TrainConfig()
    feature_maps: FeatureMapsConfig = FeatureMapsConfig()
    finetune: Annotated[FinetuneConfig, Added(before=FinetuneConfig().model_dump(mode="json"))] = (
        FinetuneConfig()
    )
    ladder: LadderConfig = LadderConfig()
    device: DeviceConfig = DeviceConfig()

    @model_validator(mode="after")
    def _check_sizes(self) -> TrialConfig:
        """Check the discrete network, which may differ from the supernet, and what the search cannot do."""
        maps = self.feature_maps
        if maps.weighting == "macs" and (maps.in_search or self.search.regularize_alphas):
            raise ValueError(
                "`feature_maps.weighting` must be equal if the search is regularized, but got macs"
            )
        space = SPACES[self.space.name]
        check_fit(space, nodes=self.space.nodes, **self.network_sizes())
        if given := self.search.given():
            self._check_given(given)
        if self.search.algorithm == "pc_darts":
            check_fit(space, **self.space.sizes(), partial_channels=self.search.partial_channels)
        return self

    def _check_given(self, genotype: Genotype) -> None:
        """Check that a network of a genotype that no search has derived can be built."""
        space, nodes, cells = SPACES[self.space.name], self.space.nodes, genotype.cells()
        allowed = {*space.primitives, *EXTRA_PRIMITIVES} - {"none"}
        for kind in space.cell_kinds():
            if kind not in cells:
                raise ValueError(f"`search.genotype` must have a {kind} cell in space {space.name}")
            cell = cells[kind]
            if cell.nodes != nodes:
                raise ValueError(
                    f"`search.genotype` must have `space.nodes` nodes, but got {cell.nodes} in its {kind} cell and "
                    f"space.nodes={nodes}"
                )
            for primitive, _ in cell.edges:
                if primitive not in allowed:
                    raise ValueError(
                        f"`search.genotype` must have primitives of space {space.name}, but got {primitive!r}"
                    )
            used = tuple(primitive for primitive, _ in cell.edges)
            check_fit(space, nodes=len(cell.concat), primitives=used, **self.network_sizes())

    @property
    def search_epochs(self) -> int:
        """Epochs of the search; 0 for a trial that does not search."""
        return 0 if self.search.algorithm == "none" else self.search.epochs

    @property
    def epochs(self) -> int:
        """Epochs of all stages."""
        return self.search_epochs + self.train.epochs + self.finetune.epochs * (1 + len(self.finetune.path))

    def stages(self) -> tuple[TrialConfig, ...]:
        """Return the trials that end after the training and after each fine-tuning of this one, which is the last.

        The network of each is that of its trial key, whichever trial has computed it.
        """
        if not self.finetune.epochs:
            return (self,)
        before = self.model_copy(update={"finetune": self.finetune.previous()})
        return (*before.stages(), self)

    def shared_work(self) -> list[tuple[str, int]]:
        """Return key and epochs of the search, if there is one, and of each stage. Trials share work by its key."""
        search = [(self.search_key(), self.search_epochs)] if self.search_epochs else []
        epochs = [self.train.epochs, *[self.finetune.epochs] * (1 + len(self.finetune.path))]
        stages = self.stages()
        return search + [(stage.trial_key(), epochs[i]) for i, stage in enumerate(stages)]

    def network_sizes(self) -> NetworkSizes:
        """Return the sizes of the discrete network: those of the supernet, unless ``train`` overrides them."""
        space = self.space
        return NetworkSizes(
            cells=self.train.cells or space.cells,
            channels=self.train.channels or space.channels,
            output_node=space.output_node,
            splitting=space.splitting,
            width_growth=space.width_growth,
            patch_size=space.patch_size,
            activation=(self.finetune.activation if self.finetune.epochs else None) or space.activation,
            stem=space.stem,
        )

    def check_images(self, shape: tuple[int, int, int]) -> None:
        """Check that images of ``shape`` [C, H, W] are large enough for the supernet and the discrete network.

        Raises:
            SpaceError: the images are too small, or ``patch_size`` does not divide them.
        """
        space = SPACES[self.space.name]
        check_fit(space, **self.space.sizes(), input_shape=shape)
        check_fit(space, nodes=self.space.nodes, **self.network_sizes(), input_shape=shape)

    def canonical(self) -> str:
        """Return the configuration as JSON with sorted keys. Equal configurations give equal text."""
        return json.dumps(self.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))

    def trial_key(self) -> str:
        """Return 16 hex digits that identify the configuration, its seed included.

        The rungs are left out: they do not change the trained network, so a longer ladder is still the same trial.
        """
        whole, ladder = identity(self), identity(self.ladder)
        if not self.finetune.epochs:
            whole.pop("finetune", None)
        fixed = {name: ladder[name] for name in ladder.keys() - LADDER_LISTS}
        return _digest({**whole, "ladder": fixed})

    def search_key(self) -> str:
        """Return the key of this trial's search. Trials that differ only in what follows the search share it."""
        whole = identity(self)
        content = {name: whole[name] for name in ("seed", "space", "data", "search", "device")}
        content |= {name: whole[name] for name in ("streams",) if name in whole}
        if self.feature_maps.regularization and (
            self.feature_maps.in_search or self.search.regularize_alphas
        ):
            maps = cast(Mapping[str, object], whole["feature_maps"])
            content["feature_maps"] = {name: maps[name] for name in maps.keys() - {"schedule", "warm_up"}}
        return f"search-{_digest(content)}"


def _digest(content: Mapping[str, object]) -> str:
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]
