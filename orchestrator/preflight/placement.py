"""Placement of gangs on the nodes of a cluster, by arithmetic alone. A gang is the workers of one trial.

Ray places the workers of a gang on any nodes (strategy PACK), all of them or none. So a gang fits if the nodes have
room for its workers one by one. A gang that never fits would wait forever, so it is refused.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from orchestrator.sweep.sweep import ResourcesConfig

Node = Mapping[str, float]
"""The resources of one node of a cluster: ``{"CPU": 8.0, "GPU": 1.0}``."""


def gang_capacity(resources: ResourcesConfig, nodes: Sequence[Node]) -> int:
    """Return how many whole gangs fit on the nodes at the same time, if nothing else runs there."""
    return _worker_capacity(resources, nodes) // resources.workers


def gang_fault(resources: ResourcesConfig, nodes: Sequence[Node]) -> str | None:
    """Return why not a single gang fits on the nodes; None if one does."""
    if gang_capacity(resources, nodes):
        return None
    cpus, gpus = resources.cpus_per_worker, resources.gpus_per_worker
    most_cpus, most_gpus = (max((node.get(kind, 0.0) for node in nodes), default=0.0) for kind in KINDS)
    if cpus > most_cpus:
        return f"`resources.cpus_per_worker` must be at most {most_cpus:g}, the most on one node, but got {cpus:g}"
    if gpus > most_gpus:
        return f"`resources.gpus_per_worker` must be at most {most_gpus:g}, the most on one node, but got {gpus:g}"
    return (
        f"a gang needs {resources.workers} x ({cpus:g} CPU and {gpus:g} GPU), but the nodes can hold only "
        f"{_worker_capacity(resources, nodes)} such workers: {_listed(nodes)}"
    )


def placement_notes(resources: ResourcesConfig, nodes: Sequence[Node]) -> list[str]:
    """Return notes for the plan: GPUs that stay idle, and gangs that share a GPU."""
    gpus = sum(node.get("GPU", 0.0) for node in nodes)
    if gpus and not resources.gpus_per_worker:
        return [f"trials run on the CPU: `resources.gpus_per_worker` is 0, and {gpus:g} GPU stay idle"]
    if resources.workers > 1 and 0 < resources.gpus_per_worker < 1:
        return [
            "workers of a gang that share a GPU communicate by gloo, which is slower than NCCL on a GPU each"
        ]
    return []


KINDS = ("CPU", "GPU")


def _worker_capacity(resources: ResourcesConfig, nodes: Sequence[Node]) -> int:
    return sum(_workers_on(resources, node) for node in nodes)


def _workers_on(resources: ResourcesConfig, node: Node) -> int:
    cpus, gpus = resources.cpus_per_worker, resources.gpus_per_worker
    limits = []
    if cpus > 0:
        limits.append(math.floor(node.get("CPU", 0.0) / cpus + 1e-9))
    if gpus >= 1:  # whole GPUs
        limits.append(int(node.get("GPU", 0.0) // gpus))
    elif gpus > 0:  # a fraction of one GPU
        limits.append(int(node.get("GPU", 0.0)) * math.floor(1 / gpus + 1e-9))
    return min(limits)


def _listed(nodes: Sequence[Node]) -> str:
    text = ", ".join(f"{node.get('CPU', 0):g} CPU and {node.get('GPU', 0):g} GPU" for node in nodes[:4])
    text += f" and {len(nodes) - 4} more" if len(nodes) > 4 else ""
    return text or "there is no node"


def this_machine() -> list[Node]:
    """Return this machine as a cluster of one node, without starting Ray. GPUs are those of NVIDIA's Linux driver."""
    folder = Path("/proc/driver/nvidia/gpus")
    gpus = len(list(folder.iterdir())) if folder.is_dir() else 0
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        gpus = min(gpus, len([name for name in visible.split(",") if name.strip() not in ("", "-1")]))
    return [{"CPU": float(allowed_cpus()), "GPU": float(gpus)}]


def allowed_cpus(root: Path = Path("/")) -> int:
    """Return how many CPUs this process may use: by its affinity, and by the quotas of its control groups.

    ``root`` is the folder that holds ``proc`` and ``sys``.
    """
    affinity = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, math.floor(min([float(affinity), *_quotas(root)]) + 1e-9))


def _quotas(root: Path) -> Iterator[float]:
    """Yield the CPU quotas of this process's control groups and of all groups above them, in CPUs."""
    mount = root / "sys/fs/cgroup"
    for line in _text(root / "proc/self/cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers and "cpu" not in controllers.split(","):
            continue
        group = mount / controllers / path.strip("/")
        while group == mount or mount in group.parents:
            version_2 = _text(group / "cpu.max").split()
            version_1 = [_text(group / f"cpu.cfs_{name}_us").strip() for name in ("quota", "period")]
            quota, period, *_ = [*(version_2 or version_1), ""]
            if quota.isdigit() and period.isdigit() and int(period):
                yield int(quota) / int(period)
            group = group.parent


def _text(file: Path) -> str:
    try:
        return file.read_text()
    except OSError:
        return ""
