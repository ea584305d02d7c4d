"""Exactness: the supernet in torch's operations against the plain formula, and synchronizations of a search step.

The fused stages have a section of their own: an error in a kernel can end a process.
"""

from __future__ import annotations

from benchmarks.gpu.comparisons import compare_bf16, compare_float32, compare_float64
from benchmarks.gpu.day import Day
from benchmarks.gpu.numerics import tf32
from benchmarks.gpu.pairs import SPACES, TINY_VARIANTS, VARIANTS
from benchmarks.gpu.settings import FULL
from benchmarks.gpu.syncs import per_step, synchronizations
from benchmarks.gpu.ways import way
from benchmarks.gpu.workload import device_option, search, trial_config

STEPS = (3, 6)
"""Steps of a short and of a long epoch."""


def measure(day: Day) -> None:
    """Check float64, float32, bf16, then the synchronizations."""
    with tf32(False), way(False):
        compare_float64(day, day.pick(VARIANTS, TINY_VARIANTS), "float64_error")
        stored = [variant for variant in VARIANTS if not variant.recompute]
        compare_float32(day, day.pick(stored, stored[:1]), "fp32_error", "fp32_error_tf32")
        compare_bf16(day, day.pick(SPACES, SPACES[:1]), "bf16_error_ratio")
    if day.on_gpu:
        _count_synchronizations(day)
    else:
        day.not_measured("syncs_per_step", "only a GPU has synchronizations to count")
        day.check("a step waits for nothing", None, "no GPU")


def _count_synchronizations(day: Day) -> None:
    """Check that no step of a search waits for the GPU: that a longer epoch does not wait more often."""
    for name, pressure in (("first order", 0.0), ("cost pressure", 0.1)):
        what = f"a step waits for nothing, {name}"
        with day.attempt(what, check=True):
            graph = {"graph": False} if device_option("graph") else {}  # a replayed step cannot wait at all
            config = trial_config(FULL, search={"cost_pressure": pressure}, device=graph)
            counts = []
            for steps in STEPS:
                phase = search(config, day.device, steps)
                phase.run_epoch(0)  # the first epoch compiles and allocates
                counts.append(synchronizations(lambda phase=phase: phase.run_epoch(1)))  # type: ignore[misc]
            found = per_step(counts[0], counts[1], STEPS[1] - STEPS[0])
            total = sum(found.values())
            places = ", ".join(f"{place} {count:g}" for place, count in found.items())
            day.check(what, total == 0, f"{total:g} a step{f': {places}' if places else ''}")
            if not pressure:
                day.figure("syncs_per_step", total)
