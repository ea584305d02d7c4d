"""Four Ray nodes on this machine, in a process of their own; lines on its standard input take them down.

As a program: starts the nodes, prints the address, then answers every line with one of JSON.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

NODES = 4
ONE_CPU = {"num_cpus": 1, "object_store_memory": 80 * 2**20, "include_dashboard": False}


@dataclass
class FourNodes:
    """What a test sees of them; node 0 is the head."""

    process: subprocess.Popen[str]
    environment: dict[str, str]
    address: str

    def ask(self, *words: object) -> Any:
        """Send a line: ``remove I``, ``kill-raylet I``, or ``state``; return the answer."""
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(" ".join(map(str, words)) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def run(self, *command: str) -> subprocess.Popen[str]:
        """Start a Python program that finds this Ray with its token, and with ``--address auto``."""
        return subprocess.Popen(
            [sys.executable, *command],
            env=self.environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )


@contextmanager
def four_nodes() -> Iterator[FourNodes]:
    """Start four nodes of one CPU each, with a token of their own, and end them after the ``with`` block."""
    folder = tempfile.mkdtemp(prefix="ray-")  # a short path: sockets lie in it
    secret = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
    environment = {**os.environ, **secret, "RAY_TMPDIR": folder, "PYTHONPATH": os.getcwd()}
    environment.pop("RAY_ADDRESS", None)
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.orchestrator.ray_backend.four_nodes"],
        env=environment,
        text=True,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        assert process.stdout
        yield FourNodes(process, environment, json.loads(process.stdout.readline()))
    finally:
        process.communicate()  # the end of its input ends it
        shutil.rmtree(folder, ignore_errors=True)


def main() -> None:
    from orchestrator.ray_backend.cluster import ENVIRONMENT

    os.environ.update(ENVIRONMENT)
    from ray._private.utils import write_ray_address
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args=ONE_CPU)
    nodes = [cluster.head_node, *(cluster.add_node(**ONE_CPU, wait=False) for _ in range(NODES - 1))]
    cluster.wait_for_nodes()
    write_ray_address(cluster.address)  # what `auto` looks for
    print(json.dumps(cluster.address), flush=True)
    try:
        for line in sys.stdin:
            word, *which = line.split()
            print(json.dumps(answer(cluster, nodes, word, *map(int, which))), flush=True)
    finally:
        cluster.shutdown()


def answer(cluster: Any, nodes: list[Any], word: str, which: int = 0) -> Any:
    if word == "remove":
        cluster.remove_node(nodes[which], allow_graceful=False)
        return which
    if word == "kill-raylet":
        raylet = nodes[which].all_processes["raylet"][0].process
        os.kill(raylet.pid, signal.SIGKILL)
        return which
    return state(cluster, nodes)


def state(cluster: Any, nodes: list[Any]) -> dict[str, Any]:
    """Return the nodes of every live placement group, and the classes of the live actors."""
    from ray._private.state import GlobalState
    from ray._raylet import GcsClientOptions

    seen = GlobalState()
    seen._initialize_global_state(
        GcsClientOptions.create(
            cluster.address, None, allow_cluster_id_nil=True, fetch_cluster_id_if_nil=False
        )
    )
    names = {node.node_id: place for place, node in enumerate(nodes)}
    groups = [group for group in seen.placement_group_table().values() if group["state"] != "REMOVED"]
    actors = seen.actor_table(None).values()
    return {
        "groups": [
            [names[node] for node in group["bundles_to_node_id"].values() if node] for group in groups
        ],
        "actors": [actor["ActorClassName"] for actor in actors if actor["State"] != "DEAD"],
    }


if __name__ == "__main__":
    main()
