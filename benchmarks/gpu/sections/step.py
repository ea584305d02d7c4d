"""Step: time and memory of a step of the search against the plain formula on the same device.

A step is an alpha step and a weight step, each on its own augmented batch, with both optimizers and the clipping of
gradients. The candidates take turns; a time is the median over epochs of a few steps. ``ours`` is the default
configuration of this checkout at a precision, ``ours, eager`` the same without a captured graph, and ``ours, fused``
the same with the fused stages in Triton, which are not the default until they were measured.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch

from benchmarks.gpu.day import Day
from benchmarks.gpu.settings import FULL, TINY, Setting
from benchmarks.gpu.ways import way, why_not_fused
from benchmarks.gpu.workload import device_option, plain_search, search, trial_config
from benchmarks.harness import Cell, Timings, interleaved

STEP_BYTES_BF16 = 11.8e9
"""Bytes that a step of the full setting moves in bf16 if every output of a depthwise convolution is stored once, and
nothing else. On today's GPUs this takes longer than the arithmetic of a step (0.3 TFLOP), so it is the limit."""
GROUPS = (("float32", 1), ("bf16", 1), ("bf16", 4), ("float32", 4))
"""Precision, and the batch as a multiple of the setting's: the most important first."""
COLUMNS = ("candidate", "precision", "batch", "ms a step", "images/s", "x plain", "peak MB", "reserved MB")
ROUNDS, WARM_UP = 5, 1
GROUP_S = 25.0
"""Seconds that a group may take: with less left, it is not begun."""


@dataclass
class Candidate:
    """A search that is timed. A call runs the next epoch.

    Attributes:
        steps: of an epoch.
        peak, reserved: bytes of GPU memory that it needs, allocated and with the allocator's reserve; None on the CPU.
    """

    run_epoch: Callable[[int], object]
    steps: int
    peak: int | None = None
    reserved: int | None = None
    epochs_done: int = 0

    def __call__(self) -> None:
        """Run the next epoch."""
        self.run_epoch(self.epochs_done)
        self.epochs_done += 1


def measure(day: Day) -> None:
    """Time all candidates at each precision and batch."""
    rows: list[list[Cell]] = []
    for precision, factor in GROUPS[:2] if day.tiny else GROUPS:
        setting = day.pick(FULL, TINY)
        setting = replace(setting, batch=factor * setting.batch)
        name = f"{precision}, batch {setting.batch}"
        if day.left() < day.pick(GROUP_S, 0.0):
            rows.append([f"no time left for {name}", *[None] * (len(COLUMNS) - 1)])
            day.table("a step", COLUMNS, rows)
            continue
        with day.attempt(name):
            candidates = _candidates(day, setting, precision)
            timings = interleaved(candidates, day.pick(ROUNDS, 1), day.pick(WARM_UP, 0))
            rows += [_row(one, candidates, timings, setting, precision) for one in candidates]
            day.table("a step", COLUMNS, rows)
            if factor == 1:
                _figures(day, candidates, timings, precision)


def _candidates(day: Day, setting: Setting, precision: str) -> dict[str, Candidate]:
    """Return the candidates, each after its first epoch; one that does not fit into memory is left out."""
    few = day.pick(4, 1)
    many = day.pick(20, 1) if device_option("graph") else few  # replayed steps are short
    config = trial_config(setting, precision)
    eager = trial_config(setting, precision, device={"graph": False}) if device_option("graph") else config
    makers: dict[str, Callable[[], Candidate]] = {
        "plain": lambda: Candidate(plain_search(config, day.device, few).run_epoch, few),
        "ours": lambda: Candidate(search(config, day.device, many).run_epoch, many),
    }
    if eager is not config:
        makers["ours, eager"] = lambda: Candidate(search(eager, day.device, few).run_epoch, few)
    if day.on_gpu and not why_not_fused():
        makers["ours, fused"] = lambda: _fused(Candidate(search(config, day.device, many).run_epoch, many))
    candidates = {}
    for name, make in makers.items():
        with day.attempt(f"{name}, {precision}, batch {setting.batch}"):
            candidates[name] = _with_memory(day, make)
    return candidates


def _fused(candidate: Candidate) -> Candidate:
    run_epoch = candidate.run_epoch

    def fused(epoch: int) -> None:
        with way(True):
            run_epoch(epoch)

    return replace(candidate, run_epoch=fused)


def _with_memory(day: Day, make: Callable[[], Candidate]) -> Candidate:
    """Make a candidate, run its first epoch, and note the memory that it needs besides what is allocated already."""
    if not day.on_gpu:
        candidate = make()
        candidate()
        return candidate
    day.free()
    torch.cuda.reset_peak_memory_stats()
    allocated, reserved = torch.cuda.memory_allocated(), torch.cuda.memory_reserved()
    candidate = make()
    candidate()
    candidate.peak = torch.cuda.max_memory_allocated() - allocated
    candidate.reserved = torch.cuda.max_memory_reserved() - reserved
    return candidate


def _row(
    name: str, candidates: dict[str, Candidate], timings: Timings, setting: Setting, precision: str
) -> list[Cell]:
    candidate, milliseconds = candidates[name], _milliseconds(name, candidates, timings)
    return [
        name,
        precision,
        setting.batch,
        milliseconds,
        2 * setting.batch / milliseconds * 1000,
        _speedup(name, candidates, timings) if "plain" in candidates else None,
        None if candidate.peak is None else candidate.peak / 1e6,
        None if candidate.reserved is None else candidate.reserved / 1e6,
    ]


def _milliseconds(name: str, candidates: dict[str, Candidate], timings: Timings) -> float:
    """Return the median time of a step."""
    return 1000 * timings.median(name) / candidates[name].steps


def _speedup(name: str, candidates: dict[str, Candidate], timings: Timings) -> float:
    """Return how many times faster a step is than one of the plain formula."""
    steps = candidates[name].steps / candidates["plain"].steps
    return timings.median_ratio("plain", name) * steps


def _figures(day: Day, candidates: dict[str, Candidate], timings: Timings, precision: str) -> None:
    short = {"float32": "fp32", "bf16": "bf16"}[precision]
    if "ours" not in candidates:
        return
    milliseconds = {name: _milliseconds(name, candidates, timings) for name in candidates}
    day.figure(f"step_ms_{short}", milliseconds["ours"])
    if "ours, fused" in candidates:
        day.figure(f"step_ms_{short}_fused", milliseconds["ours, fused"])
        if "plain" in candidates and precision == "float32":
            day.figure("speedup_gpu_fused", _speedup("ours, fused", candidates, timings))
    if precision == "bf16":
        _roofline(day, min(ms for name, ms in milliseconds.items() if name != "plain"))
        return
    if (peak := candidates["ours"].peak) is not None:
        day.figure("peak_MB_gpu", peak / 1e6)
    if "plain" in candidates:
        day.figure("speedup_gpu", _speedup("ours", candidates, timings))
        eager = "ours, eager" if device_option("graph") else "ours"
        if eager in candidates:
            day.figure("speedup_gpu_eager", _speedup(eager, candidates, timings))


def _roofline(day: Day, milliseconds: float) -> None:
    """Record the share of the limit: the time in which the device copies the bytes of a step, over that of a step."""
    copy = day.earlier.get("copy_GB_per_s")
    if copy is None:
        day.not_measured("roofline_share_bf16", "the copy ceiling was not measured")
    elif not day.tiny:
        day.figure("roofline_share_bf16", STEP_BYTES_BF16 / (copy * 1e9) * 1000 / milliseconds)
