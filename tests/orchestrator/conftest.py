"""One Ray for all tests of this folder, because starting it takes seconds; small sweeps."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from types import ModuleType

import pandas as pd
import pytest

from orchestrator import Sweep
from results.schema import POINTS, volatile_columns


@pytest.fixture(scope="session")
def cluster() -> Iterator[ModuleType]:
    """Start a Ray with two CPUs on this machine, and yield the module ``ray``."""
    from orchestrator.ray_backend.cluster import ENVIRONMENT

    os.environ.update(ENVIRONMENT)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import ray
        import ray.tune

        ray.init(
            address="local", num_cpus=2, object_store_memory=200 * 2**20, include_dashboard=False,
            log_to_driver=False, logging_level="error",
        )  # fmt: skip
    yield ray
    ray.shutdown()


def small_sweep(**fields: object) -> Sweep:
    """Return a sweep of three tiny trials of three epochs. ``fields`` replace fields of the sweep."""
    content: dict[str, object] = {
        "name": "test",
        "trial": {"search": {"epochs": 1}, "train": {"epochs": 2}, "ladder": {"threshold": [0.0, 0.1]}},
        "sweep": {"space.splitting": [1, 2, 4]},
        "strategy": {"searcher": "grid"},
    }
    return Sweep.from_mapping(content | fields)


def same_points(a: pd.DataFrame, b: pd.DataFrame) -> None:
    """Check that two runs have the same points, in all columns but times and hosts."""
    columns = [name for name in a.columns if name not in volatile_columns(POINTS)]
    pd.testing.assert_frame_equal(a[columns].reset_index(drop=True), b[columns].reset_index(drop=True))
