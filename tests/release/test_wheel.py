"""The wheel holds everything: built from the sources, installed into a fresh environment, every module imported."""

from __future__ import annotations

import os
import shutil
import site
import subprocess
import sys
import venv
from pathlib import Path

import pytest

import shrinksweep

ROOT = Path(__file__).parents[2]
PACKAGES = ("orchestrator", "results", "search_space", "trials")
SHIPPED = {*PACKAGES, "shrinksweep.py", "pyproject.toml", "README.md", "LICENSE"}

IMPORT_ALL = """
import importlib, pkgutil, sys
from pathlib import Path

home = Path(sys.argv[1])
names = ["shrinksweep"]
for package in sys.argv[2:]:
    module = importlib.import_module(package)
    names += [package, *(found.name for found in pkgutil.walk_packages(module.__path__, package + "."))]
for name in names:
    if name.endswith("__main__"):
        continue
    module = importlib.import_module(name)
    assert Path(module.__file__).is_relative_to(home), f"{name} comes from {module.__file__}"
    for handed_on in getattr(module, "__all__", ()):
        getattr(module, handed_on)
print(*names, sep="\\n")
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh environment that holds the wheel, and finds its dependencies in the environment of the tests."""
    folder = tmp_path_factory.mktemp("wheel")
    sources = folder / "sources"
    shutil.copytree(ROOT, sources, ignore=_not_shipped)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    build = [*pip, "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder), str(sources)]
    subprocess.run(build, check=True, cwd=folder, env=clean_environment())
    [wheel] = folder.glob("shrinksweep-*.whl")
    assert wheel.name.startswith(f"shrinksweep-{shrinksweep.__version__}-")
    place = folder / "environment"
    venv.create(place, with_pip=False)
    python = place / "bin" / "python"
    subprocess.run(
        [*pip, "--python", str(python), "install", "--no-deps", str(wheel)],
        check=True,
        cwd=folder,
        env=clean_environment(),
    )
    [packages] = (place / "lib").glob("python*/site-packages")
    (packages / "dependencies.pth").write_text("\n".join(site.getsitepackages()) + "\n")
    return place


def _not_shipped(folder: str, names: list[str]) -> list[str]:
    return [name for name in names if name == "__pycache__" or (folder == str(ROOT) and name not in SHIPPED)]


def clean_environment() -> dict[str, str]:
    """Return the environment without what leads Python to the checkout."""
    return {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}


def python_of(place: Path, *arguments: str) -> str:
    done = subprocess.run(
        [str(place / "bin" / "python"), *arguments],
        cwd=place,
        env=clean_environment(),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_every_module_of_the_sources_can_be_imported_from_the_wheel(installed: Path) -> None:
    names = python_of(installed, "-c", IMPORT_ALL, str(installed), *PACKAGES).split()
    files = [file.relative_to(ROOT) for package in PACKAGES for file in (ROOT / package).rglob("*.py")]
    modules = {".".join(file.with_suffix("").parts).removesuffix(".__init__") for file in files}
    assert set(names) == modules | {"shrinksweep"}


@pytest.mark.slow
def test_types_and_stubs_are_in_the_wheel(installed: Path) -> None:
    [packages] = (installed / "lib").glob("python*/site-packages")
    for package in PACKAGES:
        stubs = {file.relative_to(ROOT) for file in (ROOT / package).rglob("*.pyi")}
        assert stubs
        assert all((packages / stub).exists() for stub in stubs)
        assert (packages / package / "py.typed").exists()


@pytest.mark.slow
def test_the_command_of_the_wheel_runs(installed: Path) -> None:
    command = installed / "bin" / "shrinksweep"
    done = subprocess.run(
        [str(command), "--help"], cwd=installed, env=clean_environment(), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "plan" in done.stdout
