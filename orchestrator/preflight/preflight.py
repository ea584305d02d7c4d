"""What speaks against a sweep before any of it runs: missing images, networks that fit nothing, bounds out of reach."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from orchestrator.sweep import combinations
from orchestrator.sweep.dimensions import Dimension
from orchestrator.sweep.sweep import Sweep
from results.pareto.constraints import Constraint
from search_space.space import SpaceError
from search_space.splitting import SplittingError
from trials.config import DataConfig, TrialConfig
from trials.data import sources
from trials.errors import InfeasibleError

SIZES_CHECKED = 64
"""Sizes of network that a plan looks at; of a sweep over more, every trial checks its own before it searches."""

_SIZES = ("space.", "train.cells", "train.channels", "data.name", "data.path", "data.image_size")
"""What macs depend on."""


def data_faults(sweep: Sweep) -> list[str]:
    """Return a line for all data that is missing, and for images that a network is too large for."""
    lines: list[str] = []
    for data in _data_configs(sweep):
        try:
            sources.locate(data)
            shape = sources.image_shape(data)
        except (ValueError, OSError) as error:
            lines.append(" ".join(str(error).split()))
            continue
        lines += _shape_faults(sweep, shape)
    return list(dict.fromkeys(lines))


def tap_faults(sweep: Sweep) -> list[str]:
    """Return a line for the first pattern that stands for no feature map. Loads torch only where there are patterns."""
    fields = ("feature_maps.", "space.", "search.algorithm", "train.cells")
    for assignment in _swept(sweep, fields):
        config = combinations.configured(sweep.trial, assignment)
        if config.feature_maps.taps == ("*",):
            continue
        from trials.feature_maps.tap_patterns import TapError
        from trials.search.tap_check import check_taps

        try:
            check_taps(config)
        except TapError as error:
            return [str(error)]
    return []


@dataclass(frozen=True)
class Reach:
    """Whether the networks of a sweep can keep its constraints on macs and flops from above."""

    faults: list[str] = field(default_factory=list)
    """Why no network can; empty where one may."""
    notes: list[str] = field(default_factory=list)
    """What is worth knowing where some sizes of network cannot."""

    @classmethod
    def of(cls, sweep: Sweep) -> Reach:
        """Look at every size of network in the sweep, up to ``SIZES_CHECKED``. Loads torch only where there are bounds.

        The classes of the images are not known here; one is counted, so every network is a little dearer than this.
        """
        bounds = [bound for bound in sweep.bounds if bound.at_most and bound.column in ("macs", "flops")]
        if not bounds:
            return cls()
        sizes = list(itertools.islice(_swept(sweep, _SIZES), SIZES_CHECKED + 1))
        if len(sizes) > SIZES_CHECKED:
            return cls()
        image_shape = functools.cache(sources.image_shape)  # it may read an image
        configs = [combinations.configured(sweep.trial, assignment) for assignment in sizes]
        found = [_out_of_reach(config, image_shape(config.data), bounds) for config in configs]
        reasons = [reason for reason in found if reason is not None]
        if len(reasons) == len(sizes):
            return cls(faults=reasons[:1])
        if not reasons:
            return cls()
        return cls(notes=[f"{len(reasons)} of {len(sizes)} sizes of network are not searched: {reasons[0]}"])


def _data_configs(sweep: Sweep) -> list[DataConfig]:
    found = [combinations.configured(sweep.trial, a).data for a in _swept(sweep, ("data.",))]
    return list(
        {data.model_dump_json(include={"name", "path", "image_size"}): data for data in found}.values()
    )


def _shape_faults(sweep: Sweep, shape: tuple[int, int, int]) -> list[str]:
    sizes = ("space.name", "space.cells", "space.patch_size", "train.cells")
    for assignment in _swept(sweep, sizes):
        config = combinations.configured(sweep.trial, assignment)
        try:
            config.check_images(shape)
        except (SpaceError, SplittingError) as error:
            return [str(error)]
    return []


def _out_of_reach(config: TrialConfig, shape: tuple[int, int, int], bounds: list[Constraint]) -> str | None:
    from trials.search.feasibility import check_reach

    try:
        check_reach(config, shape, 1, bounds)
    except InfeasibleError as error:
        return str(error)
    return None


def _swept(sweep: Sweep, prefixes: tuple[str, ...]) -> Iterator[dict[str, Any]]:
    dims = [d for d in sweep.dimensions if any(path.startswith(prefixes) for path in d.paths)]
    for values in itertools.islice(itertools.product(*map(_ends, dims)), 10_000):
        yield {d.path: value for d, value in zip(dims, values, strict=True)}


def _ends(dimension: Dimension) -> list[Any]:
    if dimension.size is not None and dimension.size <= 100:
        return [dimension.value(i) for i in range(dimension.size)]
    return [dimension.at(0.0), dimension.at(1.0)]
