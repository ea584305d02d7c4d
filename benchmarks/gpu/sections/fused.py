"""Fused: the stages in Triton against the plain formula, in every number format.

First all kernels that this and later sections need are compiled, a configuration a process, so that all cores help.
Compiled kernels are kept in Triton's cache. On the CPU, Triton's interpreter runs the kernels, at one tiny size.
"""

from __future__ import annotations

import multiprocessing
import time

import torch

from benchmarks.gpu.comparisons import compare_bf16, compare_float32, compare_float64
from benchmarks.gpu.day import Day
from benchmarks.gpu.numerics import tf32
from benchmarks.gpu.pairs import INTERPRETED, SPACES, VARIANTS, Variant, backward, batch, pair
from benchmarks.gpu.settings import FULL
from benchmarks.gpu.ways import fused_nodes, interpret_kernels, way, why_not_fused
from benchmarks.gpu.workload import search, trial_config
from benchmarks.harness import Cell

FIGURES = ("fused_float64_error", "fused_fp32_error", "fused_bf16_error_ratio")
COMPILE_SHARE = 0.6
"""Share of the section that the compilation may take."""


def measure(day: Day) -> None:
    """Compile, then check float64, float32 and bf16."""
    reason = why_not_fused()
    if not reason:
        if day.on_gpu:
            _compile(day)
        else:
            interpret_kernels()
        reason = _why_not_used(day)
    if reason:
        for name in FIGURES:
            day.not_measured(name, reason)
        day.check("fused stages equal the plain formula", None, reason)
        return
    stored = [variant for variant in VARIANTS if not variant.recompute]
    with tf32(False), way(True):
        compare_float64(day, day.pick(VARIANTS, INTERPRETED), "fused_float64_error")
        if not day.tiny:
            compare_float32(day, stored, "fused_fp32_error", None)
            compare_bf16(day, SPACES, "fused_bf16_error_ratio")


def _why_not_used(day: Day) -> str | None:
    """Return why the supernet does not use the fused stages; None if it does."""
    variant = day.pick(VARIANTS[0], INTERPRETED[0])
    fast, _ = pair(variant, torch.float32, day.device)
    used = fused_nodes(lambda: fast.train()(batch(variant, torch.float32, day.device)[0]))
    return None if used else "the supernet does not use the fused stages"


def _compile(day: Day) -> None:
    """Run a step of every configuration in a process of its own; this process has not touched the GPU yet."""
    start = time.monotonic()
    context = multiprocessing.get_context("fork")
    processes = {
        f"search, {precision}": context.Process(target=_search, args=(precision,))
        for precision in ("float32", "bf16")
    }
    processes |= {variant.name: context.Process(target=_step, args=(variant,)) for variant in VARIANTS}
    for process in processes.values():
        process.start()
    limit = start + COMPILE_SHARE * day.left()
    rows: list[list[Cell]] = []
    for name, process in processes.items():
        process.join(max(0.0, limit - time.monotonic()))
        ended = {None: "not done", 0: "done"}.get(process.exitcode, f"exit status {process.exitcode}")
        rows.append([name, ended, round(time.monotonic() - start, 1)])
        process.kill()
    day.table("compilation", ("configuration", "state", "s until then"), rows)


def _search(precision: str) -> None:
    with way(True):
        search(trial_config(FULL, precision), torch.device("cuda"), 1).run_epoch(0)


def _step(variant: Variant) -> None:
    device = torch.device("cuda")
    for dtype in (torch.float64, torch.float32):
        fast, _ = pair(variant, dtype, device)
        with way(True):
            backward(fast, *batch(variant, dtype, device))
    torch.cuda.synchronize()
