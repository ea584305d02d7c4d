"""Checks of a sweep before any of it runs.

They find tap patterns that match no feature map, and constraints that no network can satisfy. ``data_checks.py`` checks
the data.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from orchestrator.sweep.combinations import apply_assignment
from orchestrator.sweep.dimensions import Assignment, Dimension, FieldValue
from orchestrator.sweep.sweep import Sweep
from results.pareto.constraints import Constraint
from trials.config import TrialConfig
from trials.data import sources
from trials.errors import InfeasibleError

MAX_SIZES = 64
"""Sizes of network that ``check_constraints`` looks at. In a sweep with more, only each trial checks its own."""

MAX_ASSIGNMENTS = 10_000
"""Combinations of the relevant swept fields that a check looks at."""

NETWORK_FIELDS = (
    "space.",
    "search.algorithm",
    "search.genotype",
    "train.cells",
    "train.channels",
    "data.name",
    "data.path",
    "data.image_size",
)
"""The fields (or blocks) that the size of a network depends on."""


_LATENCIES = ("latency_1_ms", "latency_1_spread_ms", "latency_64_ms", "latency_64_spread_ms")


def unmeasured_faults(sweep: Sweep) -> list[str]:
    """Return one line for each objective and constraint on a column that no trial of the sweep measures."""
    ladder, missing = sweep.trial.ladder, dict[str, str]()
    if min(ladder.feature_map_bits) == 32:
        missing["entropy_bytes"] = f"`trial.ladder.feature_map_bits` is {list(ladder.feature_map_bits)}"
    if not ladder.latency:
        missing |= dict.fromkeys(_LATENCIES, "`trial.ladder.latency` is false")
    if not sweep.resources.gpus_per_worker:
        missing["search_peak_bytes"] = "`resources.gpus_per_worker` is 0"
    objectives = [("an objective", name) for name in sweep.objectives]
    bounds = [("a constraint", bound.column) for bound in sweep.bounds]
    return [
        f"{kind} must be measured, but `{name}` never is: {missing[name]}"
        for kind, name in dict.fromkeys([*objectives, *bounds])
        if name in missing
    ]


def tap_faults(sweep: Sweep) -> list[str]:
    """Return one line for the first tap pattern that matches no feature map. Imports torch only if there are any."""
    fields = ("feature_maps.", "space.", "search.algorithm", "search.genotype", "train.cells")
    for assignment in assignments(sweep, fields):
        config = apply_assignment(sweep.trial, assignment)
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
class ConstraintCheck:
    """Whether the networks of a sweep can satisfy its upper bounds on macs and flops."""

    faults: list[str] = field(default_factory=list)
    """Why no network can; empty if one may."""
    notes: list[str] = field(default_factory=list)
    """Which share of the sizes of network cannot."""


def check_constraints(sweep: Sweep) -> ConstraintCheck:
    """Check every size of network in the sweep, up to ``MAX_SIZES``. Imports torch only if there are such bounds.

    The number of classes is unknown until the data is read. One is assumed, so real networks have slightly more macs.
    """
    bounds = [bound for bound in sweep.bounds if bound.at_most and bound.column in ("macs", "flops")]
    if not bounds:
        return ConstraintCheck()
    sizes = list(itertools.islice(assignments(sweep, NETWORK_FIELDS), MAX_SIZES + 1))
    if len(sizes) > MAX_SIZES:
        return ConstraintCheck()
    image_shape = functools.cache(sources.image_shape)  # it may read an image
    configs = [apply_assignment(sweep.trial, assignment) for assignment in sizes]
    checked = [_infeasibility(config, image_shape(config.data), bounds) for config in configs]
    reasons = [reason for reason in checked if reason is not None]
    if len(reasons) == len(sizes):
        return ConstraintCheck(faults=reasons[:1])
    if not reasons:
        return ConstraintCheck()
    note = f"{len(reasons)} of {len(sizes)} sizes of network are not searched: {reasons[0]}"
    return ConstraintCheck(notes=[note])


def _infeasibility(
    config: TrialConfig, shape: tuple[int, int, int], bounds: Sequence[Constraint]
) -> str | None:
    """Return why no network of this configuration satisfies the bounds; None if one does."""
    from trials.search.feasibility import check_reach

    try:
        check_reach(config, shape, 1, bounds)
    except InfeasibleError as error:
        return str(error)
    return None


def assignments(sweep: Sweep, prefixes: tuple[str, ...]) -> Iterator[Assignment]:
    """Yield the combinations of the swept fields that start with one of ``prefixes``, see ``_extremes``."""
    dims = [d for d in sweep.dimensions if any(path.startswith(prefixes) for path in d.paths)]
    for values in itertools.islice(itertools.product(*map(_extremes, dims)), MAX_ASSIGNMENTS):
        yield {d.path: value for d, value in zip(dims, values, strict=True)}


def _extremes(dimension: Dimension) -> Sequence[FieldValue]:
    """Return all values of a short list; of a long list or a range, the first and the last."""
    if dimension.size is not None and dimension.size <= 100:
        return [dimension.value(i) for i in range(dimension.size)]
    return [dimension.at(0.0), dimension.at(1.0)]
