"""Gangs of trials that are stopped early give back everything that they have reserved."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import psutil
import pytest

from orchestrator.launch import conduct
from tests.doubles.waiting import wait_for
from tests.orchestrator.conftest import small_sweep

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::DeprecationWarning:ray"),
    pytest.mark.filterwarnings("ignore::FutureWarning:ray"),
    pytest.mark.filterwarnings("ignore::UserWarning:ray"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


def test_stopped_gangs_leak_no_placement_group_and_no_process(cluster: ModuleType, tmp_path: Path) -> None:
    sweep = small_sweep(
        trial={"search": {"epochs": 1}, "train": {"epochs": 8}, "ladder": {"threshold": [0.0]}},
        sweep={"space.splitting": [1, 2, 4], "feature_maps.regularization": {"low": 1e-6, "high": 1e-2}},
        strategy={
            "searcher": "random",
            "trials": 72,
            "scheduler": "halving",
            "halving": {"eta": 9},
        },
        resources={"workers": 2, "cpus_per_worker": 0.5},
    )
    before = set(groups(cluster))
    outcome = conduct(sweep, tmp_path / "run", trial="tests.doubles.fake_trials:quick_trial")
    states = outcome.run.trials()["state"].astype(str).value_counts()
    assert outcome.complete
    assert states["stopped"] >= 50
    assert states.sum() == 72
    wait_for(
        lambda: set(groups(cluster)) == before and not trial_processes(),
        "all placement groups and processes of the trials are gone",
        timeout_s=30,
    )
    assert cluster.available_resources()["CPU"] == 2.0


def groups(ray: ModuleType) -> list[str]:
    """Return the ids of the placement groups that hold resources or wait for them."""
    table = ray.util.placement_group_table()
    return [group for group, state in table.items() if state["state"] != "REMOVED"]


def trial_processes() -> list[str]:
    """Return the command lines of this process's children that run trials or workers of gangs."""
    names = []
    for process in psutil.Process().children(recursive=True):
        try:
            names.append(" ".join(process.cmdline()))
        except psutil.NoSuchProcess:
            continue
    return [name for name in names if name.startswith(("ray::ImplicitFunc", "ray::Worker"))]
