from __future__ import annotations

from pathlib import Path

import pytest

from results import RunDirectory
from tests.results.stores import places


@pytest.fixture(params=["local", "remote", "objects"])
def directory(request: pytest.FixtureRequest, tmp_path: Path) -> RunDirectory:
    """An empty run directory on each kind of storage."""
    chosen = {name: (filesystem, path) for name, filesystem, path in places(tmp_path)}[request.param]
    return RunDirectory(chosen[1], create=True, filesystem=chosen[0])


@pytest.fixture
def local(tmp_path: Path) -> RunDirectory:
    """An empty run directory on the local disk."""
    return RunDirectory(tmp_path / "run", create=True)
