"""The Ray that a launch runs on: one that is there, or one that is started for as long as it takes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from orchestrator.errors import LaunchError
from orchestrator.preflight.placement import Node
from results.errors import one_line

ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_AIR_NEW_OUTPUT": "0",  # the other output cannot be silenced
    "RAY_CHDIR_TO_TRIAL_DIR": "0",  # relative paths of a sweep mean what they mean to its user
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_GLOBAL_CHECKPOINT_S": "1000000000",  # nobody reads Tune's snapshots
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",
    "TUNE_FUNCTION_THREAD_TIMEOUT_S": "60",
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
}
"""What Ray and Tune are told before they start; what the user has set stays."""

OBJECT_STORE_BYTES = 200 * 2**20


@contextmanager
def ray_session(address: str | None) -> Iterator[list[Node]]:
    """Yield the nodes of a Ray: the one that runs in this process already, that at ``address``, or a new one.

    What was started here is ended here. Error: ``LaunchError`` for an address that cannot be, or be reached.
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
    options: dict[str, Any] = {"include_dashboard": False, "object_store_memory": OBJECT_STORE_BYTES}
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
    """Return the resources of every node that is alive, of the Ray that this process is connected to.

    Error: ``LaunchError`` when the node that this process is connected to is not: it can start nothing any more.
    """
    import ray

    alive = [node for node in ray.nodes() if node["Alive"]]
    if ray.get_runtime_context().get_node_id() not in {node["NodeID"] for node in alive}:
        raise LaunchError("the Ray node that a launch runs on must be alive, but it has died; launch again")
    return [node["Resources"] for node in alive]
