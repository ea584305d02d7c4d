"""Machine: what the other sections run on, and its ceilings.

Copy: a copy of a large tensor on the device, bytes read and written. Matrix product: n x n x n, two operations a
multiply-add. Launch: one tiny operation, issued from Python, and replayed in a captured graph.
"""

from __future__ import annotations

import shutil
import subprocess
import time
from importlib import metadata

import torch

from benchmarks.gpu.day import Day
from benchmarks.gpu.numerics import tf32
from benchmarks.gpu.timing import milliseconds
from benchmarks.harness import Cell

OPERATIONS = 1000
"""Tiny operations of one measurement of the launch time."""


def measure(day: Day) -> None:
    """Record names and versions, then the ceilings."""
    if day.on_gpu and not torch.cuda.is_available():
        raise RuntimeError("torch sees no GPU")
    float(torch.ones(2, device=day.device).sum())  # the device works
    day.fact("device", day.device.type)
    _record_versions(day)
    rows: list[list[Cell]] = []

    def ceiling(name: str, value: float, unit: str) -> None:
        rows.append([name, value, unit])
        day.table("ceilings", ("what", "value", "unit"), rows)

    with day.attempt("copy"):
        speed = _copy_gb_per_s(day)
        ceiling("copy", speed, "GB/s")
        day.figure("copy_GB_per_s", speed)
    for kind, dtype, allowed in (
        ("fp32", torch.float32, False),
        ("tf32", torch.float32, True),
        ("bf16", torch.bfloat16, False),
    ):
        with day.attempt(f"matrix product in {kind}"), tf32(allowed):
            speed = _matmul_tflops(day, dtype)
            ceiling(f"matrix product, {kind}", speed, "TFLOP/s")
            day.figure(f"matmul_TFLOPs_{kind}", speed)
    with day.attempt("launch"):
        microseconds = _launch_us(day)
        ceiling("launch from Python", microseconds, "us")
        day.figure("launch_us", microseconds)
    if day.on_gpu:
        with day.attempt("launch in a graph"):
            ceiling("launch in a graph", _graph_launch_us(), "us")


def _record_versions(day: Day) -> None:
    day.fact("torch", torch.__version__)
    try:
        day.fact("triton", metadata.version("triton"))
    except metadata.PackageNotFoundError:
        day.fact("triton", "not there")
    if not day.on_gpu:
        return
    properties = torch.cuda.get_device_properties(day.device)
    day.fact("gpu", properties.name)
    day.fact("gpu_memory_MB", properties.total_memory // 10**6)
    day.fact("multiprocessors", properties.multi_processor_count)
    day.fact("cuda", torch.version.cuda)
    day.fact("cudnn", torch.backends.cudnn.version())
    if shutil.which("nvidia-smi"):
        command = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
        answer = subprocess.run(command, capture_output=True, text=True, timeout=10)
        day.fact("driver", answer.stdout.split("\n")[0].strip())


def _copy_gb_per_s(day: Day) -> float:
    size = day.pick(2**31, 2**20)
    source = torch.randint(0, 256, (size,), dtype=torch.uint8, device=day.device)
    target = torch.empty_like(source)
    return 2 * size / milliseconds(lambda: target.copy_(source), day.device, 10) / 1e6


def _matmul_tflops(day: Day, dtype: torch.dtype) -> float:
    n = day.pick(8192, 64)
    left, right = torch.randn(2, n, n, device=day.device).to(dtype)
    return 2 * n**3 / milliseconds(lambda: left @ right, day.device, 10) / 1e9


def _launch_us(day: Day) -> float:
    x = torch.zeros(1, device=day.device)

    def many() -> float:
        start = time.perf_counter()
        for _ in range(OPERATIONS):
            x.add_(1)
        float(x)
        return time.perf_counter() - start

    many()
    return 1e6 * min(many() for _ in range(5)) / OPERATIONS


def _graph_launch_us() -> float:
    x = torch.zeros(1, device="cuda")
    x.add_(1)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        for _ in range(OPERATIONS):
            x.add_(1)
    return 1000 * milliseconds(graph.replay, x.device, 5) / OPERATIONS
