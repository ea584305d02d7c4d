"""The whole flow on four nodes that die: nothing is lost, nothing is run twice, and the result is the same."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch.multiprocessing as multiprocessing
import yaml

from orchestrator import Sweep
from results import LedgerEntry, RunDirectory, open_run
from tests.orchestrator.conftest import same_points
from tests.orchestrator.ray_backend.four_nodes import FourNodes, four_nodes
from trials import TrialConfig, TrialContext, run_trial

pytestmark = pytest.mark.slow

EPOCHS = 6
SWEEP = {
    "name": "nodes",
    "trial": {
        "space": {"cells": 3, "channels": 4, "nodes": 2},
        "data": {"name": "digits", "batch_size": 32, "train_images": 128, "test_images": 64},
        "search": {"epochs": 2},
        "train": {"epochs": EPOCHS - 2},
        "ladder": {"threshold": [0.0, 0.1]},
    },
    "sweep": {"space.splitting": [1, 2], "feature_maps.regularization": [0.0, 0.01]},
    "strategy": {"searcher": "grid"},
    "resources": {"workers": 2, "cpus_per_worker": 1},
}


@pytest.fixture(scope="module")
def nodes() -> Iterator[FourNodes]:
    with four_nodes() as nodes:
        yield nodes


def wait_for(condition: Callable[[], Any], process: Any, timeout_s: float = 120.0) -> Any:
    """Return the first true value of ``condition()``; the process must go on meanwhile."""
    deadline = time.monotonic() + timeout_s
    while not (value := condition()):
        assert process.poll() is None, process.stdout.read()
        assert time.monotonic() < deadline, "nothing happened"
        time.sleep(0.1)
    return value


def test_gangs_whose_nodes_die_go_on_elsewhere(nodes: FourNodes, tmp_path: Path) -> None:
    run_dir, file = tmp_path / "run", tmp_path / "sweep.yaml"
    file.write_text(yaml.safe_dump(SWEEP, sort_keys=False))
    directory = RunDirectory(run_dir)
    command = ("-m", "orchestrator.cli", "launch", str(file), "--run-dir", str(run_dir))
    launched = nodes.run(*command, "--address", nodes.address)
    rows: dict[str, Any] = {}
    down: set[int] = set()
    for word in ("remove", "kill-raylet"):
        before = len(rows)
        rows = wait_for(partial(more_rows, directory, before), launched)
        victim = wait_for(partial(node_of_a_gang, nodes, down), launched)
        nodes.ask(word, victim)
        down.add(victim)
    output, _ = launched.communicate(timeout=200)
    assert launched.returncode == 0, output

    run = open_run(run_dir)
    progress = run.progress()
    assert not progress.duplicated(["trial_key", "step"]).any()
    assert len(progress) == 4 * EPOCHS
    after = at_of(directory)
    assert {place: after[place] for place in rows} == rows  # no epoch on storage was computed again
    failures = [str(failure) for entry in directory.read_ledger() for failure in entry.failures]
    assert 1 <= len(failures) <= 4
    wait_for(lambda: nodes.ask("state") == {"groups": [], "actors": []}, nodes.process, timeout_s=30)
    same_points(run.points(), open_run(undisturbed(tmp_path / "undisturbed")).points())


def more_rows(directory: RunDirectory, before: int) -> dict[str, Any]:
    """Return the epochs on storage, as soon as there are two more than ``before``."""
    rows = at_of(directory)
    return rows if len(rows) >= before + 2 else {}


def at_of(directory: RunDirectory) -> dict[str, Any]:
    rows = directory.read_progress(columns=["trial_key", "step", "at"]).to_pylist()
    return {f"{row['trial_key']} {row['step']}": row["at"] for row in rows}


def node_of_a_gang(nodes: FourNodes, down: set[int]) -> int:
    """Return a node that holds one half of a gang and is not the head, 0 while there is none.

    Ray notices some seconds later that the nodes that are ``down`` are.
    """
    whole = [group for group in nodes.ask("state")["groups"] if len(set(group)) == 2 and not down & {*group}]
    return max((node for group in whole for node in group), default=0)


def undisturbed(folder: Path) -> Path:
    """Run the same trials on two ranks that nobody disturbs, without Ray."""
    directory = RunDirectory(folder, create=True)
    sweep = Sweep(**SWEEP)
    directory.write_sweep(sweep.model_dump(mode="json"), {})
    multiprocessing.spawn(_rank, (str(folder),), nprocs=2)
    return folder


def _rank(rank: int, folder: str) -> None:
    sweep, directory = Sweep(**SWEEP), RunDirectory(folder)
    values = [
        {"space.splitting": s, "feature_maps.regularization": weight}
        for s in (1, 2)
        for weight in (0.0, 0.01)
    ]
    for index, assignment in enumerate(values):
        config: TrialConfig = sweep.config(assignment)
        address = f"file://{folder}/meet{index}"
        run_trial(
            config, TrialContext(directory, index, sweep.name, rank=rank, world_size=2, address=address)
        )
        if rank == 0:
            content = config.model_dump(mode="json")
            directory.write_entry(
                LedgerEntry(index=index, key=config.trial_key(), seed=config.seed, config=content)
            )
