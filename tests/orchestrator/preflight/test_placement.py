"""How many gangs fit on the nodes, and what is refused because it would wait forever."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from orchestrator import Sweep, SweepError
from orchestrator.preflight.placement import (
    allowed_cpus,
    gang_capacity,
    gang_fault,
    placement_notes,
    this_machine,
)
from orchestrator.sweep.sweep import ResourcesConfig

Nodes = list[dict[str, float]]


@pytest.mark.parametrize(
    ("resources", "nodes", "count"),
    [
        ({"workers": 2}, [{"CPU": 1}, {"CPU": 1}], 1),
        ({"workers": 2, "cpus_per_worker": 2}, [{"CPU": 3}, {"CPU": 3}], 1),
        ({"workers": 3, "cpus_per_worker": 2}, [{"CPU": 3}, {"CPU": 3}], 0),
        ({"gpus_per_worker": 1}, [{"CPU": 64}], 0),
        ({"gpus_per_worker": 0.5}, [{"CPU": 64, "GPU": 2}], 4),
        ({"gpus_per_worker": 0.4}, [{"CPU": 64, "GPU": 2}], 4),
        ({"gpus_per_worker": 0.25, "cpus_per_worker": 0}, [{"GPU": 1}], 4),
        ({"cpus_per_worker": 8}, [{"CPU": 4}, {"CPU": 4}], 0),
        ({}, [], 0),
    ],
)
def test_gangs_are_counted_node_by_node(
    resources: dict[str, float], nodes: list[dict[str, float]], count: int
) -> None:
    assert gang_capacity(ResourcesConfig(**resources), nodes) == count
    fault = gang_fault(ResourcesConfig(**resources), nodes)
    assert (fault is None) == (count > 0)


@pytest.mark.parametrize(
    ("resources", "nodes", "line"),
    [
        (
            {"cpus_per_worker": 8},
            [{"CPU": 4}, {"CPU": 2}],
            "`resources.cpus_per_worker` must be at most 4, the most on one node, but got 8",
        ),
        (
            {"gpus_per_worker": 4},
            [{"CPU": 8, "GPU": 2}, {"CPU": 8, "GPU": 2}],
            "`resources.gpus_per_worker` must be at most 2, the most on one node, but got 4",
        ),
        (
            {"gpus_per_worker": 0.5},
            [{"CPU": 8}],
            "`resources.gpus_per_worker` must be at most 0, the most on one node, but got 0.5",
        ),
        (
            {"workers": 3, "gpus_per_worker": 0.5},
            [{"CPU": 8, "GPU": 1}],
            "a gang needs 3 x (1 CPU and 0.5 GPU), but the nodes can hold only 2 such workers: 8 CPU and 1 GPU",
        ),
        (  # enough CPUs and a GPU, but not on the same node
            {"cpus_per_worker": 4, "gpus_per_worker": 1},
            [{"CPU": 8}, {"CPU": 2, "GPU": 1}],
            "a gang needs 1 x (4 CPU and 1 GPU), but the nodes can hold only 0 such workers: "
            "8 CPU and 0 GPU, 2 CPU and 1 GPU",
        ),
        (
            {"workers": 6},
            [{"CPU": 1}] * 5,
            "a gang needs 6 x (1 CPU and 0 GPU), but the nodes can hold only 5 such workers: "
            "1 CPU and 0 GPU, 1 CPU and 0 GPU, 1 CPU and 0 GPU, 1 CPU and 0 GPU and 1 more",
        ),
    ],
)
def test_a_gang_that_would_wait_forever_is_refused_in_one_line(
    resources: dict[str, float], nodes: Nodes, line: str
) -> None:
    assert gang_fault(ResourcesConfig(**resources), nodes) == line


@pytest.mark.parametrize(
    ("resources", "line"),
    [
        ({"gpus_per_worker": 1.5}, "a worker must reserve whole GPUs or a fraction of one, but got 1.5"),
        ({"cpus_per_worker": 0}, "a worker must reserve a CPU or a GPU, but got cpus_per_worker=0"),
    ],
)
def test_resources_that_ray_cannot_reserve_are_a_fault_of_the_sweep_file(
    resources: dict[str, float], line: str
) -> None:
    with pytest.raises(SweepError) as caught:
        Sweep(name="test", sweep={"space.splitting": [1, 2]}, resources=resources)
    (found,) = caught.value.lines
    assert line in found


def test_notes_name_idle_gpus_and_gangs_that_share_a_gpu() -> None:
    nodes: Nodes = [{"CPU": 8, "GPU": 2}]
    (idle,) = placement_notes(ResourcesConfig(), nodes)
    assert "2 GPU stay idle" in idle
    (shared,) = placement_notes(ResourcesConfig(workers=2, gpus_per_worker=0.5), nodes)
    assert "gloo" in shared
    assert placement_notes(ResourcesConfig(workers=2, gpus_per_worker=1), nodes) == []


GROUPS = {
    "no quota": ("0::/a/b\n", {"a/b/cpu.max": "max 100000\n"}, 16),
    "a quota": ("0::/a/b\n", {"a/b/cpu.max": "350000 100000\n"}, 3),
    "a quota above": ("0::/a/b\n", {"a/cpu.max": "200000 100000\n", "a/b/cpu.max": "max 100000\n"}, 2),
    "a container's root": ("0::/\n", {"cpu.max": "400000 100000"}, 4),
    "less than one CPU": ("0::/\n", {"cpu.max": "50000 100000"}, 1),
    "version 1": (
        "4:memory:/x\n3:cpu,cpuacct:/job\n",
        {"cpu,cpuacct/job/cpu.cfs_quota_us": "200000\n", "cpu,cpuacct/job/cpu.cfs_period_us": "100000\n"},
        2,
    ),
    "version 1 without a quota": (
        "3:cpu:/job\n",
        {"cpu/job/cpu.cfs_quota_us": "-1\n", "cpu/job/cpu.cfs_period_us": "100000\n"},
        16,
    ),
    "no groups": ("", {}, 16),
}


@pytest.mark.parametrize("case", GROUPS)
def test_only_the_cpus_that_are_allowed_are_counted(
    case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    groups, files, cpus = GROUPS[case]
    for name, text in {
        "proc/self/cgroup": groups,
        **{f"sys/fs/cgroup/{f}": t for f, t in files.items()},
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(16)), raising=False)
    assert allowed_cpus(tmp_path) == cpus


def test_the_affinity_of_this_process_bounds_the_gangs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {3}, raising=False)
    assert this_machine()[0]["CPU"] == 1.0
