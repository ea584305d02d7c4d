"""Checks of a cluster's nodes before anything starts: every node answers one small task."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Callable, Mapping
from importlib import metadata, util
from pathlib import Path
from typing import ParamSpec, TypeVar, cast

import ray
from ray import ObjectRef
from ray.exceptions import GetTimeoutError, RayError, RayTaskError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from orchestrator.errors import LaunchError, SweepError
from orchestrator.preflight.data_checks import data_faults
from orchestrator.sweep.sweep import Sweep
from results import RunDirectory
from results.errors import one_line

TIMEOUT_S = 120.0
"""How long a node may take to answer. Its first task also starts a process."""

PACKAGES = ("orchestrator", "trials", "search_space", "results")

P = ParamSpec("P")
T = TypeVar("T")


def check_nodes(sweep: Sweep, fingerprints: Mapping[str, str], *, check_data: bool = True) -> None:
    """Check that all nodes have this process's versions, and the data of the sweep with these fingerprints.

    Raises:
        SweepError: nodes differ, or lack data; one line for each difference.
        LaunchError: a node does not answer.
    """
    here = installed()
    faults = [
        f"all nodes must have the same versions, but {name} is {here[name]} here and {version} on {node}"
        for node, versions in ask_every_node(installed)
        for name, version in versions.items()
        if version != here[name]
    ]
    if check_data and not faults:
        faults = [
            f"{line} (on {node})"
            for node, lines in ask_every_node(data_faults, sweep, dict(fingerprints))
            for line in lines
        ]
    if faults:
        raise SweepError(list(dict.fromkeys(faults)))


def check_run_directory(directory: RunDirectory) -> None:
    """Check that all nodes see the run directory, in which ``sweep.yaml`` has just been written.

    Raises:
        SweepError: a node does not.
        LaunchError: a node does not answer.
    """
    blind = [node for node, sees in ask_every_node(sees_sweep, directory) if not sees]
    if blind:
        raise SweepError(
            [f"the run directory must be storage that all nodes see, but {blind[0]} has no {directory.uri}"]
        )


def installed() -> dict[str, str]:
    """Return the versions that decide a result, and a digest of the code of shrinksweep on this node."""
    versions = {name: metadata.version(name) for name in ("shrinksweep", "torch", "numpy")}
    return {"python": platform.python_version(), **versions, "the code of shrinksweep": _code_digest()}


def sees_sweep(directory: RunDirectory) -> bool:
    """Whether this node can read the sweep in a run directory."""
    return directory.read_sweep() is not None


def ask_every_node(question: Callable[P, T], *arguments: P.args, **options: P.kwargs) -> list[tuple[str, T]]:
    """Call a function on every living node. Return each node's address and answer.

    Raises:
        LaunchError: a node does not answer in time, or the function fails there.
    """
    task = ray.remote(num_cpus=0, max_retries=0)(question)
    nodes = [node for node in ray.nodes() if node["Alive"]]
    calls = [
        task.options(scheduling_strategy=NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)).remote(
            *arguments, **options
        )
        for node in nodes
    ]
    addresses = [node["NodeManagerAddress"] for node in nodes]
    return [(node, cast(T, _answer(node, call))) for node, call in zip(addresses, calls, strict=True)]


def _answer(node: str, call: ObjectRef) -> object:
    try:
        return ray.get(call, timeout=TIMEOUT_S)
    except GetTimeoutError:
        reason = f"it has not answered for {TIMEOUT_S:g} s"
    except RayTaskError as error:
        reason = f"{type(error.cause).__name__}: {error.cause}" if error.cause else str(error)
    except RayError as error:
        reason = f"{type(error).__name__}: {error}"
    raise LaunchError(f"every node must be able to run shrinksweep, but {node}: {one_line(reason)}")


def _code_digest() -> str:
    """Return a short digest of the installed modules of this project."""
    digest = hashlib.sha256()
    for package in PACKAGES:
        spec = util.find_spec(package)
        folder = Path(spec.origin).parent if spec and spec.origin else Path()
        for file in sorted(folder.rglob("*.py")):
            digest.update(file.relative_to(folder).as_posix().encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()[:8]
