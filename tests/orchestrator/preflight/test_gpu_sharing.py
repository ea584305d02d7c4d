"""What a launch says about trials that share a GPU."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from orchestrator.preflight.gpu_sharing import mps_runs, sharing_note
from orchestrator.sweep.sweep import ResourcesConfig


def test_mps_runs_where_its_control_daemon_listens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_MPS_PIPE_DIRECTORY", str(tmp_path))
    assert not mps_runs()
    (tmp_path / "control").touch()
    assert mps_runs()


@pytest.mark.parametrize(
    ("nodes", "note"),
    [
        (
            [("a", True), ("b", True)],
            "trials share a GPU; MPS runs, so their kernels can run at the same time",
        ),
        ([("a", True), ("b", False)], "trials share a GPU, but take turns on it: MPS does not run on b"),
        (
            [("a", False), ("b", False)],
            "trials share a GPU, but take turns on it: MPS does not run on 2 nodes, such as a",
        ),
    ],
)
def test_nodes_without_mps_are_named(nodes: list[tuple[str, bool]], note: str) -> None:
    assert sharing_note(nodes) == note


def test_only_a_share_of_a_gpu_limits_its_memory() -> None:
    assert ResourcesConfig(gpus_per_worker=0.25, limit_gpu_memory=True).shares_gpus
    with pytest.raises(
        ValidationError, match=r"`limit_gpu_memory` needs workers that share a GPU, .* got .*=1"
    ):
        ResourcesConfig(gpus_per_worker=1, limit_gpu_memory=True)
