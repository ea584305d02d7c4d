"""A sweep on four nodes, two of which die: nothing is lost or computed twice, and the points are the same."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from functools import partial
from pathlib import Path

import pytest
import yaml
from torch.multiprocessing.spawn import spawn

from orchestrator import Sweep
from orchestrator.sweep.dimensions import Assignment
from results import LedgerEntry, RunDirectory, open_run
from tests.doubles.waiting import wait_for
from tests.orchestrator.conftest import same_points
from tests.orchestrator.ray_backend.four_nodes import FourNodes, four_nodes
from trials import TrialContext, run_trial

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]  # a busy machine takes minutes to start the nodes

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


def test_gangs_whose_nodes_die_go_on_elsewhere(nodes: FourNodes, tmp_path: Path) -> None:
    run_dir, file = tmp_path / "run", tmp_path / "sweep.yaml"
    file.write_text(yaml.safe_dump(SWEEP, sort_keys=False))
    directory = RunDirectory(run_dir)
    command = ("-m", "orchestrator.cli", "launch", str(file), "--run-dir", str(run_dir))
    rows: dict[str, datetime] = {}
    down: set[int] = set()
    with nodes.run(*command, "--address", nodes.address) as launched:
        for how in ("remove", "kill-raylet"):
            more = partial(more_rows, directory, before=len(rows))
            rows = wait_for(more, "two more epochs are on storage", process=launched)
            victim = wait_for(
                partial(node_of_a_gang, nodes, down), "a gang spans two nodes", process=launched
            )
            nodes.take_down(how, victim)
            down.add(victim)
        output, _ = launched.communicate(timeout=200)
    assert launched.returncode == 0, output

    run = open_run(run_dir)
    progress = run.progress()
    assert not progress.duplicated(["trial_key", "step"]).any()
    assert len(progress) == 4 * EPOCHS
    after = at_of(directory)
    assert {row: after[row] for row in rows} == rows  # no epoch on storage was computed again
    failures = [str(failure) for entry in directory.read_ledger() for failure in entry.failures]
    assert 1 <= len(failures) <= 4
    wait_for(
        lambda: nodes.state() == {"groups": [], "actors": []},
        "all placement groups and actors are gone",
        process=nodes.process,
        timeout_s=30,
    )
    same_points(run.points(), open_run(undisturbed(tmp_path / "undisturbed")).points())


def more_rows(directory: RunDirectory, before: int) -> dict[str, datetime]:
    """Return the epochs that have a checkpoint, or none if there are fewer than two more than ``before``.

    The row of an epoch is stored first: a kill between the two repeats that epoch.
    """
    rows = {row: at for row, at in at_of(directory).items() if has_checkpoint(directory, row)}
    return rows if len(rows) >= before + 2 else {}


def has_checkpoint(directory: RunDirectory, row: str) -> bool:
    """Whether the trial of an epoch would go on after it, or is finished."""
    key, step = row.split()
    steps = [int(file.name[:8]) for file in directory.storage.list(f"checkpoints/{key}")]
    return directory.has_points(key) or max(steps, default=0) >= int(step)


def at_of(directory: RunDirectory) -> dict[str, datetime]:
    """Return when each epoch on storage was computed."""
    rows = directory.read_progress(columns=["trial_key", "step", "at"]).to_pylist()
    return {f"{row['trial_key']} {row['step']}": row["at"] for row in rows}


def node_of_a_gang(nodes: FourNodes, down: set[int]) -> int:
    """Return a node, not the head, that holds half of a gang; 0 if there is none.

    Gangs on nodes that are ``down`` do not count: Ray notices their death some seconds later.
    """
    groups = nodes.state()["groups"]
    alive = [group for group in groups if len(set(group)) == 2 and not down & {*group}]
    return max((node for group in alive for node in group), default=0)


def undisturbed(folder: Path) -> Path:
    """Run the same trials on two ranks without Ray, and without interruption."""
    directory = RunDirectory(folder, create=True)
    sweep = Sweep.from_mapping(SWEEP)
    directory.write_sweep(sweep.model_dump(mode="json"), {})
    spawn(_rank, (str(folder),), nprocs=2)
    return folder


def _rank(rank: int, folder: str) -> None:
    sweep, directory = Sweep.from_mapping(SWEEP), RunDirectory(folder)
    assignments: list[Assignment] = [
        {"space.splitting": s, "feature_maps.regularization": weight}
        for s in (1, 2)
        for weight in (0.0, 0.01)
    ]
    for index, assignment in enumerate(assignments):
        config = sweep.config(assignment)
        address = f"file://{folder}/meet{index}"
        run_trial(
            config, TrialContext(directory, index, sweep.name, rank=rank, world_size=2, address=address)
        )
        if rank == 0:
            content = config.model_dump(mode="json")
            directory.write_entry(
                LedgerEntry(index=index, key=config.trial_key(), seed=config.seed, config=content)
            )
