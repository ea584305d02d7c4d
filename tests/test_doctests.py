"""The examples in all docstrings are true."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
import re
from pathlib import Path

import pandas as pd
import pytest

from results import RunDirectory
from tests.results.test_run import fill

ROOT = Path(__file__).parents[1]
PACKAGES = ("orchestrator", "trials", "search_space", "results")
_EXAMPLE = re.compile(r"^\s*>>> ", re.MULTILINE)


def _fail(name: str) -> None:
    raise ImportError(f"the package {name} cannot be imported")


def _files() -> dict[str, Path]:
    """Return the file of every module that Python finds, by its name."""
    files = {"shrinksweep": ROOT / "shrinksweep.py"}
    for package in PACKAGES:
        files[package] = ROOT / package / "__init__.py"
        for module in pkgutil.walk_packages([str(ROOT / package)], f"{package}.", onerror=_fail):
            path = ROOT.joinpath(*module.name.split("."))
            files[module.name] = path / "__init__.py" if module.ispkg else path.with_suffix(".py")
    return files


FILES = {name: path for name, path in _files().items() if _EXAMPLE.search(path.read_text())}


def test_every_file_with_examples_is_a_module_found_here() -> None:
    sources = [ROOT / "shrinksweep.py", *(path for name in PACKAGES for path in (ROOT / name).rglob("*.py"))]
    assert {path for path in sources if _EXAMPLE.search(path.read_text())} == set(FILES.values())


@pytest.mark.parametrize("name", sorted(FILES))
def test_examples(name: str, tmp_path: Path) -> None:
    """In examples of ``results``, ``run`` is a run of six small trials."""
    names: dict[str, object] = {"pd": pd}
    if name.startswith("results."):
        names["run"] = fill(RunDirectory(tmp_path / "run"))
    outcome = doctest.testmod(importlib.import_module(name), extraglobs=names)
    assert outcome.failed == 0
    assert outcome.attempted == len(_EXAMPLE.findall(FILES[name].read_text())), (
        "some examples are not in docstrings that doctest finds"
    )
