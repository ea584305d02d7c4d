from __future__ import annotations

from pathlib import Path

import pytest

from results import RunDirectory
from tests.results.stores import locations


@pytest.fixture(params=["local", "remote", "objects"])
def directory(request: pytest.FixtureRequest, tmp_path: Path) -> RunDirectory:
    """An empty run directory on each kind of storage."""
    filesystem, path = locations(tmp_path)[request.param]
    return RunDirectory(path, create=True, filesystem=filesystem)


@pytest.fixture
def local(tmp_path: Path) -> RunDirectory:
    """An empty run directory on the local disk."""
    return RunDirectory(tmp_path / "run", create=True)
