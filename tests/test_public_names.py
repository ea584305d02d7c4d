"""Every folder states its purpose and its public names, and importing a package is cheap."""

from __future__ import annotations

import ast
import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("orchestrator", "trials", "search_space", "results")
FOLDERS = sorted(
    stub.parent.relative_to(ROOT) for package in PACKAGES for stub in (ROOT / package).rglob("__init__.pyi")
)
HEAVY = {"torch", "ray", "optuna", "plotly", "mlflow", "tensorboard"}

every_folder = pytest.mark.parametrize("folder", FOLDERS, ids=str)


def _names(folder: Path) -> list[str]:
    """Return the names that the stub of a folder declares."""
    tree = ast.parse((ROOT / folder / "__init__.pyi").read_text())
    return [
        alias.asname or alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    ]


@every_folder
def test_every_public_name_resolves(folder: Path) -> None:
    package = importlib.import_module(".".join(folder.parts))
    names = _names(folder)
    assert names
    assert [name for name in names if not hasattr(package, name)] == []
    assert set(names) <= set(package.__all__)


@every_folder
def test_the_docstring_says_what_is_here_and_what_to_read_first(folder: Path) -> None:
    docstring = ast.get_docstring(ast.parse((ROOT / folder / "__init__.py").read_text())) or ""
    text = " ".join(docstring.split())
    for part in ("Here:", "Not here:", "Read first:"):
        assert part in text
    files = re.findall(r"``([\w/]+\.py)``", text.partition("Read first:")[2])
    assert files
    assert [name for name in files if not (ROOT / folder / name).is_file()] == []


@pytest.mark.parametrize("package", PACKAGES)
def test_importing_a_package_loads_no_heavy_library(package: str) -> None:
    script = f"import sys, {package}; print(*({HEAVY!r} & sys.modules.keys()))"
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT)
    assert run.stdout.split() == []
