"""What only torch can tell about a sweep that has not run: how large its networks are, and how long it takes."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from orchestrator.preflight.checks import NETWORK_FIELDS, assignments
from orchestrator.preflight.plan import Plan, mean_epochs
from orchestrator.sweep.combinations import apply_assignment
from orchestrator.sweep.sweep import Sweep
from results.durations import format_duration
from results.errors import one_line
from trials.config import TrialConfig
from trials.data import sources
from trials.data.sources.surveys import Survey

if TYPE_CHECKING:
    from trials.cost.cost import Cost

MOST_SIZES = 16
"""Sizes of network among which the smallest and the largest are looked for; of more, the first are looked at."""
CALIBRATION_IMAGES = 512
"""Images of a pass that measures ranges and memory, at most."""


def forecast(plan: Plan) -> Iterator[str]:
    """Yield lines of text: the sizes of the networks, then the time, unless the run's own trials tell it already.

    Imports torch. The steps of a trial in the middle of the swept ranges are timed on this machine, which takes some
    seconds.
    """
    try:
        yield f"networks:   {_sizes(plan.sweep)}"
        if plan.to_run and plan.seconds is None:
            yield f"time:       {_time(plan)}"
    except Exception as error:  # of whatever fails in a network; the plan holds without it
        yield f"note:       sizes and time are not known: {one_line(error)}"


def _sizes(sweep: Sweep) -> str:
    from trials.forecast import extreme_costs

    configs = [
        apply_assignment(sweep.trial, assignment)
        for assignment in itertools.islice(assignments(sweep, NETWORK_FIELDS), MOST_SIZES)
    ]
    costs: list[Cost] = []
    for config in configs:
        survey = sources.survey(config.data)
        costs += extreme_costs(config, survey.shape, len(survey.class_names))
    least, most = (choose(costs, key=lambda cost: cost.macs) for choose in (min, max))
    return f"smallest {_size(least)}; largest {_size(most)} (memory at 32 bits, nothing pruned)"


def _size(cost: Cost) -> str:
    return f"{cost.macs:,} macs, {cost.params:,} params, {_bytes(cost.peak_bytes)}"


def _bytes(count: float) -> str:
    """Return a size in bytes as people read it.

    >>> _bytes(512), _bytes(6660), _bytes(12_345_678)
    ('512 bytes', '6.66 kB', '12.3 MB')
    """
    for unit, factor in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= factor:
            return f"{count / factor:.3g} {unit}"
    return f"{count:.0f} bytes"


def _time(plan: Plan) -> str:
    from trials.forecast import time_steps

    sweep = plan.sweep
    config = apply_assignment(sweep.trial, {d.path: d.at(0.5) for d in sweep.dimensions})
    survey = sources.survey(config.data)
    classes, resources = len(survey.class_names), sweep.resources
    times = time_steps(config, survey.shape, classes, resources.workers, on_gpu=resources.gpus_per_worker > 0)
    if times is None:
        return "not estimated: trials use GPUs, and this machine has none"
    steps = Steps.of(config, survey)
    search_epochs, training_epochs = mean_epochs(sweep)
    search_s = search_epochs * steps.search * times.search_s
    train_s = training_epochs * steps.training * times.train_s
    ladder_s = _passes(config) * steps.ladder_images * times.image_s
    total_s = min(plan.searches, plan.to_run) * search_s + plan.to_run * (train_s + ladder_s)
    parts = [("search", search_s), ("training", train_s), ("ladder", ladder_s)]
    shown = ", ".join(f"{name} {_duration(seconds)}" for name, seconds in parts if seconds)
    return (
        f"about {_duration(total_s / max(1, plan.at_a_time))} (a trial: {shown}), by the steps of one trial, "
        "timed on this machine"
    )


def _duration(seconds: float) -> str:
    return format_duration(seconds) if seconds >= 1 else "1 s"


class Steps(NamedTuple):
    """How much a trial computes.

    Attributes:
        search, training: steps of an epoch.
        ladder_images: images of all passes of a rung.
    """

    search: int
    training: int
    ladder_images: int

    @classmethod
    def of(cls, config: TrialConfig, survey: Survey) -> Steps:
        """Return how much a trial computes on a data set."""
        data, train, own = config.data, config.train, survey.counts["validation"]
        wanted = data.train_images or survey.counts["train"]
        held_out = 0 if own else round(wanted * data.validation_share)
        left = wanted - held_out
        training = left - round(left * train.validation_share)
        return cls(
            max(1, left // 2 // data.batch_size),
            max(1, training // (train.batch_size or data.batch_size)),
            (own or held_out) + (data.test_images or survey.counts["test"]) + min(left, CALIBRATION_IMAGES),
        )


def _passes(config: TrialConfig) -> int:
    """Return the rungs of a trial that differ in more than the codec."""
    return len({rung.model_copy(update={"codec": ""}) for rung in config.ladder.rungs()})
