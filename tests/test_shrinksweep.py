"""The facade: every name resolves, importing it is cheap, and foreign modules are refused by name."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType

import pytest

import shrinksweep

COMMAND = Path(sys.executable).with_name("shrinksweep")


def run(folder: Path, *command: str | Path) -> subprocess.CompletedProcess[str]:
    """Run a command in a folder whose modules Python finds first."""
    environment = {**os.environ, "PYTHONPATH": "."}
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=100
    )


def refused(name: str, found: str | Path) -> str:
    """Return the message that refuses the package ``name``, found in ``found``."""
    return f"the package `{name}` must be that of shrinksweep, but Python finds {found} first: "


@pytest.mark.parametrize("name", shrinksweep.__all__)
def test_every_name_resolves(name: str) -> None:
    assert getattr(shrinksweep, name) is not None
    assert name in dir(shrinksweep)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'shrinksweep' has no attribute 'lunch'"):
        _ = shrinksweep.lunch


def test_the_import_loads_neither_torch_nor_ray_nor_pandas() -> None:
    loaded = "import sys, shrinksweep; print(*{'torch', 'ray', 'pandas'} & {*sys.modules})"
    done = subprocess.run(
        [sys.executable, "-c", loaded], capture_output=True, text=True, check=True, timeout=100
    )
    assert done.stdout == "\n"


@pytest.fixture(params=["results.py", "trials.py", "orchestrator/__init__.py"])
def foreign(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, str]:
    """Return a folder that holds a foreign module or package, and the message that refuses it."""
    file = tmp_path / request.param
    file.parent.mkdir(exist_ok=True)
    file.write_text("print('imported')\n")
    return tmp_path, refused(Path(request.param).parts[0].removesuffix(".py"), file)


def test_the_command_refuses_a_foreign_module_in_one_line(foreign: tuple[Path, str]) -> None:
    folder, message = foreign
    done = run(folder, COMMAND, "plan", "x.yaml")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"error: {message}")
    assert len(done.stderr.splitlines()) == 1


def test_a_name_refuses_a_foreign_module_in_one_line(foreign: tuple[Path, str]) -> None:
    folder, message = foreign
    done = run(folder, sys.executable, "-c", "import shrinksweep; shrinksweep.open_run")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.splitlines()[-1].startswith(f"shrinksweep.ForeignModuleError: {message}")


def imported(monkeypatch: pytest.MonkeyPatch, spec: ModuleSpec | None, file: str | None) -> ModuleType:
    """Return a foreign module ``trials`` that is in ``sys.modules``."""
    module = ModuleType("trials")
    module.__spec__, module.__file__ = spec, file
    monkeypatch.setitem(sys.modules, "trials", module)
    return module


@pytest.mark.parametrize("has_spec", [True, False])
@pytest.mark.parametrize("file", ["/elsewhere/trials.py", None])
def test_a_foreign_module_that_no_import_has_made_is_refused(
    monkeypatch: pytest.MonkeyPatch, has_spec: bool, file: str | None
) -> None:
    module = imported(monkeypatch, None, file)
    if not has_spec:
        del module.__spec__
    with pytest.raises(shrinksweep.ForeignModuleError) as raised:
        shrinksweep.refuse_foreign_modules()
    assert str(raised.value).startswith(refused("trials", file or "a module without a file"))


def test_a_foreign_folder_without_init_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    spec = ModuleSpec("trials", None, is_package=True)
    spec.submodule_search_locations = [str(tmp_path)]
    imported(monkeypatch, spec, None)
    with pytest.raises(shrinksweep.ForeignModuleError) as raised:
        shrinksweep.refuse_foreign_modules()
    assert str(raised.value).startswith(refused("trials", tmp_path))


def test_the_version_loads_nothing_else(tmp_path: Path) -> None:
    done = run(tmp_path, sys.executable, "-X", "importtime", COMMAND, "--version")
    assert (done.returncode, done.stdout) == (0, f"shrinksweep {shrinksweep.__version__}\n")
    loaded = {line.rpartition("|")[2].strip().partition(".")[0] for line in done.stderr.splitlines()}
    assert {"shrinksweep", "orchestrator"} <= loaded
    assert not loaded & {
        "torch",
        "ray",
        "optuna",
        "pandas",
        "pyarrow",
        "numpy",
        "pydantic",
        "results",
        "trials",
    }
