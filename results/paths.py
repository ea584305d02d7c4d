"""Local paths as people write them."""

from __future__ import annotations

import os
from pathlib import Path

from results.errors import ResultsError


def local_path(path: str | os.PathLike[str]) -> Path:
    """Return a local path, with ``~`` replaced by the home folder.

    Raises:
        ResultsError: the home folder is not known.
    """
    try:
        return Path(path).expanduser()
    except RuntimeError:
        shown = os.fspath(path)
        raise ResultsError(f"a path with ~ needs a home folder, but none is known for {shown!r}") from None
