"""Every kernel compiles for an H100 without a GPU, and importing the search space does not import Triton."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

KERNELS = {
    "convolve", "pool", "finish", "project", "add_terms", "add_products", "finish_gradient", "map_gradients",
    "middle_gradient", "kernel_gradient", "source_gradient",
}  # fmt: skip
SHARED_BYTES = 227 * 1024
"""Shared memory of an H100 that one program can have."""


def run(*arguments: str, cache: Path) -> str:
    environment = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    done = subprocess.run(
        [sys.executable, *arguments], env=environment | {"TRITON_CACHE_DIR": str(cache)}, capture_output=True,
        text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(
    ("channels", "dtype", "stride"),
    [
        pytest.param(16, "bfloat16", 1, marks=pytest.mark.slow),
        pytest.param(128, "bfloat16", 2, marks=pytest.mark.slow),
    ],
)
def test_every_kernel_compiles_for_an_h100(channels: int, dtype: str, stride: int, tmp_path: Path) -> None:
    nvidia = pytest.importorskip("triton.backends.nvidia.compiler", reason="Triton has no CUDA compiler here")
    try:
        nvidia.get_ptxas(90)
    except (RuntimeError, OSError) as error:
        pytest.skip(f"Triton has no assembler for GPUs here: {error}")
    module = "tests.search_space.supernet.fused.offline"
    found = json.loads(run("-m", module, str(channels), dtype, str(stride), cache=tmp_path))
    assert {name for name, _ in found} == KERNELS
    assert max(shared for _, shared in found) <= SHARED_BYTES


def test_the_search_space_does_not_import_triton(tmp_path: Path) -> None:
    program = (
        "import sys, search_space.supernet.supernet, search_space.supernet.fused.nodes; print(*sys.modules)"
    )
    assert "triton" not in run("-c", program, cache=tmp_path).split()
