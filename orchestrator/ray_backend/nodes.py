"""What every node of a cluster must have, asked of each with one small task, before anything starts."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Callable
from importlib import metadata, util
from pathlib import Path
from typing import Any, TypeVar

import ray
from ray.exceptions import GetTimeoutError, RayError, RayTaskError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from orchestrator.errors import LaunchError, SweepError
from orchestrator.preflight.preflight import data_faults
from orchestrator.sweep.sweep import Sweep
from results import RunDirectory
from results.errors import one_line

TIMEOUT_S = 120.0
"""How long a node may take to answer; the first task on a node starts a process there."""

PACKAGES = ("orchestrator", "trials", "search_space", "results")

T = TypeVar("T")


def check_nodes(sweep: Sweep, *, check_data: bool = True) -> None:
    """Check that all nodes run what this process runs, and find the images.

    Errors: ``SweepError`` with a line for everything that differs; ``LaunchError`` for a node that does not answer.
    """
    here = installed()
    faults = [
        f"all nodes must have the same versions, but {name} is {here[name]} here and {value} on {node}"
        for node, there in ask_every_node(installed)
        for name, value in there.items()
        if value != here[name]
    ]
    if check_data and not faults:
        faults = [
            f"{line} (on {node})" for node, lines in ask_every_node(data_faults, sweep) for line in lines
        ]
    if faults:
        raise SweepError(list(dict.fromkeys(faults)))


def check_run_directory(directory: RunDirectory) -> None:
    """Check that all nodes see the run directory's sweep. Error: ``SweepError``."""
    blind = [node for node, sees in ask_every_node(sees_sweep, directory) if not sees]
    if blind:
        raise SweepError(
            [f"the run directory must be storage that all nodes see, but {blind[0]} has no {directory.uri}"]
        )


def installed() -> dict[str, str]:
    """Return what decides a result: versions, and a digest of this project's own code."""
    found = {name: metadata.version(name) for name in ("shrinksweep", "torch", "numpy")}
    return {"python": platform.python_version(), **found, "the code of shrinksweep": _code()}


def sees_sweep(directory: RunDirectory) -> bool:
    """Say whether this node sees a run directory that holds a sweep."""
    return directory.read_sweep() is not None


def ask_every_node(question: Callable[..., T], *arguments: Any) -> list[tuple[str, T]]:
    """Return what ``question(*arguments)`` answers on every node that is alive, each with its address.

    Error: ``LaunchError`` for the first node that cannot answer.
    """
    task = ray.remote(num_cpus=0, max_retries=0)(question)
    nodes = [node for node in ray.nodes() if node["Alive"]]
    asked = [
        task.options(scheduling_strategy=NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)).remote(
            *arguments
        )
        for node in nodes
    ]
    addresses = [node["NodeManagerAddress"] for node in nodes]
    return [(node, _answer(node, reference)) for node, reference in zip(addresses, asked, strict=True)]


def _answer(node: str, reference: Any) -> Any:
    try:
        return ray.get(reference, timeout=TIMEOUT_S)
    except GetTimeoutError:
        reason = f"it has not answered for {TIMEOUT_S:g} s"
    except RayTaskError as error:
        reason = f"{type(error.cause).__name__}: {error.cause}" if error.cause else str(error)
    except RayError as error:
        reason = f"{type(error).__name__}: {error}"
    raise LaunchError(f"every node must be able to run shrinksweep, but {node}: {one_line(reason)}")


def _code() -> str:
    """Return a short digest of the modules of this project, as they are installed here."""
    total = hashlib.sha256()
    for package in PACKAGES:
        spec = util.find_spec(package)
        folder = Path(spec.origin).parent if spec and spec.origin else Path()
        for file in sorted(folder.rglob("*.py")):
            total.update(file.relative_to(folder).as_posix().encode() + b"\0" + file.read_bytes())
    return total.hexdigest()[:8]
