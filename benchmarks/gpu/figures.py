"""The figures of ``benchmarks.gpu_day``: names, units, targets.

They are declared here, so that a report has all of them: one that was not measured has no value, and a reason.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from benchmarks.harness import Figure


@dataclass(frozen=True)
class Declared:
    """A figure without its value."""

    name: str
    section: str
    unit: str
    target: float | None = None
    better: Literal["higher", "lower"] = "higher"


FIGURES = (
    # right
    Declared("float64_error", "exactness", "largest difference", 1e-10, "lower"),
    Declared("fp32_error", "exactness", "largest difference", 1e-5, "lower"),
    Declared("fp32_error_tf32", "exactness", "largest difference", None, "lower"),
    Declared("bf16_error_ratio", "exactness", "x plain bf16", None, "lower"),
    Declared("fused_float64_error", "fused", "largest difference", 1e-10, "lower"),
    Declared("fused_fp32_error", "fused", "largest difference", 1e-5, "lower"),
    Declared("fused_bf16_error_ratio", "fused", "x plain bf16", None, "lower"),
    Declared("syncs_per_step", "exactness", "a step", 0, "lower"),
    Declared("resume_equal", "trial", "1: yes", 1),
    Declared("ladder_rows_equal", "trial", "1: yes", 1),
    Declared("graph_equal", "graph", "1: yes", 1),
    # fast
    Declared("step_ms_fp32", "step", "ms", None, "lower"),
    Declared("step_ms_bf16", "step", "ms", None, "lower"),
    Declared("step_ms_fp32_fused", "step", "ms", None, "lower"),
    Declared("step_ms_bf16_fused", "step", "ms", None, "lower"),
    Declared("speedup_gpu_eager", "step", "x plain"),
    Declared("speedup_gpu", "step", "x plain", 8),
    Declared("speedup_gpu_fused", "step", "x plain", 8),
    Declared("search_cifar10_min", "search", "min", 14, "lower"),
    Declared("search_cifar10_min_fp32", "search", "min", None, "lower"),
    Declared("search_cifar10_min_bf16", "search", "min", None, "lower"),
    Declared("train_step_ms", "search", "ms", None, "lower"),
    Declared("roofline_share_bf16", "step", "of the limit", 0.5),
    Declared("peak_MB_gpu", "step", "MB", None, "lower"),
    Declared("kernels_per_step", "profile", "kernels", 1800, "lower"),
    Declared("busy_share", "profile", "of the time"),
    Declared("augmented_images_per_s", "augmentation", "images/s"),
    Declared("ladder_s_per_rung", "ladder", "s", None, "lower"),
    Declared("four_processes_speedup", "sharing", "x one process"),
    # ceilings of the card
    Declared("copy_GB_per_s", "machine", "GB/s"),
    Declared("matmul_TFLOPs_fp32", "machine", "TFLOP/s"),
    Declared("matmul_TFLOPs_tf32", "machine", "TFLOP/s"),
    Declared("matmul_TFLOPs_bf16", "machine", "TFLOP/s"),
    Declared("launch_us", "machine", "us", None, "lower"),
)

NAMES = frozenset(declared.name for declared in FIGURES)


def figures(values: Mapping[str, float]) -> list[Figure]:
    """Return all figures, with the values that there are."""
    return [Figure(d.name, values.get(d.name), d.unit, d.target, d.better) for d in FIGURES]
