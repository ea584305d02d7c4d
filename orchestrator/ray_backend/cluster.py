"""The Ray session of a launch: a running Ray that it joins, or one that it starts and ends."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from orchestrator.errors import LaunchError
from orchestrator.preflight.placement import Node
from results.errors import one_line

ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_AIR_NEW_OUTPUT": "0",  # Tune's new output cannot be switched off
    "RAY_CHDIR_TO_TRIAL_DIR": "0",  # keeps the working directory, so that relative paths in a sweep work
    "RAY_IGNORE_UNHANDLED_ERRORS": "1",  # the launch tells in one line why it ends
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_GLOBAL_CHECKPOINT_S": "1000000000",  # Tune's snapshots are never read
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",
    "TUNE_FUNCTION_THREAD_TIMEOUT_S": "60",
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
}
"""Environment variables that are set before Ray is imported, unless the user has set them."""

OBJECT_STORE_BYTES = 200 * 2**20
"""Size of the object store of a Ray that is started here: trials pass configurations and rows, no tensors."""


@contextmanager
def ray_session(address: str | None) -> Iterator[list[Node]]:
    """Connect to Ray, or start it, and yield its nodes. What was started is ended afterwards.

    Args:
        address: ``auto`` or ``host:port`` of a cluster; None starts Ray on this machine. Ignored if this process is
            connected to a Ray already.

    Raises:
        LaunchError: the address is that of a Ray client, or cannot be reached.
    """
    if address is not None and address.startswith("ray://"):
        raise LaunchError(
            f"the address must be auto or host:port, but got {address}: a launch has to outlive a client's "
            "connection, so start it on a node of the cluster, or with `ray job submit`"
        )
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    import ray

    if ray.is_initialized():
        yield living_nodes()
        return
    options: dict[str, object] = {"include_dashboard": False, "object_store_memory": OBJECT_STORE_BYTES}
    if address is not None:
        options = {"runtime_env": {"env_vars": ENVIRONMENT}}
    try:
        ray.init(address=address or "local", log_to_driver=False, logging_level="error", **options)
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise LaunchError(f"Ray must be reachable at {address or 'local'}, but {one_line(error)}") from None
    try:
        yield living_nodes()
    finally:
        ray.shutdown()


def living_nodes() -> list[Node]:
    """Return the resources of every living node of the Ray that this process is connected to.

    Raises:
        LaunchError: this process's own node has died, so it cannot start anything any more.
    """
    import ray

    alive = [node for node in ray.nodes() if node["Alive"]]
    if ray.get_runtime_context().get_node_id() not in {node["NodeID"] for node in alive}:
        raise LaunchError("the Ray node that a launch runs on must be alive, but it has died; launch again")
    return [node["Resources"] for node in alive]
