"""Four Ray nodes on this machine, in a process of their own, which takes them down on command.

As a program, it starts the nodes, prints their address, and answers each line of its standard input with a line of
JSON.
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
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypedDict, cast

from tests.doubles.waiting import python_program

if TYPE_CHECKING:
    from ray._private.node import Node
    from ray.cluster_utils import Cluster

NODES = 4
ONE_CPU = {"num_cpus": 1, "object_store_memory": 80 * 2**20, "include_dashboard": False}


class State(TypedDict):
    """What lives on the cluster."""

    groups: list[list[int]]
    """The nodes of each placement group, by index."""
    actors: list[str]
    """The class of each actor."""


@dataclass
class FourNodes:
    """The four nodes, as a test sees them. Node 0 is the head."""

    process: subprocess.Popen[str]
    environment: dict[str, str]
    address: str

    def take_down(self, how: str, node: int) -> None:
        """Take a node down: ``remove`` all its processes, or ``kill-raylet`` only."""
        self._ask(f"{how} {node}")

    def state(self) -> State:
        """Return what lives on the cluster."""
        return cast(State, self._ask("state"))

    def run(self, *arguments: str) -> AbstractContextManager[subprocess.Popen[str]]:
        """Run a Python program that may connect to these nodes, and finds them with ``--address auto``."""
        return python_program(*arguments, environment=self.environment)

    def _ask(self, line: str) -> object:
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(f"{line}\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())


@contextmanager
def four_nodes() -> Iterator[FourNodes]:
    """Start four nodes of one CPU each, with a token of their own, and end them after the ``with`` block."""
    folder = tempfile.mkdtemp(prefix="ray-")  # a short path, because it is part of the names of sockets
    token = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
    environment = {**os.environ, **token, "RAY_TMPDIR": folder}
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
        process.communicate()  # closes its standard input, which ends it
        shutil.rmtree(folder, ignore_errors=True)


def main() -> None:
    """Run the nodes until the standard input ends."""
    from orchestrator.ray_backend.cluster import ENVIRONMENT

    os.environ.update(ENVIRONMENT)  # before Ray is imported
    from ray._private.utils import write_ray_address
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args=ONE_CPU)
    nodes = [cluster.head_node, *(cluster.add_node(**ONE_CPU, wait=False) for _ in range(NODES - 1))]
    cluster.wait_for_nodes()
    write_ray_address(cluster.address)  # for ``--address auto``
    print(json.dumps(cluster.address), flush=True)
    try:
        for line in sys.stdin:
            word, *index = line.split()
            print(json.dumps(_answer(cluster, nodes, word, *map(int, index))), flush=True)
    finally:
        cluster.shutdown()


def _answer(cluster: Cluster, nodes: Sequence[Node], word: str, index: int = 0) -> object:
    if word == "remove":
        cluster.remove_node(nodes[index], allow_graceful=False)
        return index
    if word == "kill-raylet":
        raylet = nodes[index].all_processes["raylet"][0].process
        os.kill(raylet.pid, signal.SIGKILL)
        return index
    return _state(cluster, nodes)


def _state(cluster: Cluster, nodes: Sequence[Node]) -> State:
    from ray._private.state import GcsClientOptions, GlobalState

    options = GcsClientOptions.create(
        cluster.address, None, allow_cluster_id_nil=True, fetch_cluster_id_if_nil=False
    )
    state = GlobalState()
    state._initialize_global_state(options)
    indices = {node.node_id: index for index, node in enumerate(nodes)}
    groups = [group for group in state.placement_group_table().values() if group["state"] != "REMOVED"]
    actors = state.actor_table(None).values()
    return {
        "groups": [
            [indices[node] for node in group["bundles_to_node_id"].values() if node] for group in groups
        ],
        "actors": [actor["ActorClassName"] for actor in actors if actor["State"] != "DEAD"],
    }


if __name__ == "__main__":
    main()
