"""The private names of Ray that this project uses: all in one file, and all there in the installed version."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
import ray
from ray.experimental import internal_kv
from ray.tune.execution.tune_controller import TuneController
from ray.tune.experiment import Trial

import orchestrator
from orchestrator.ray_backend import tune_private
from orchestrator.ray_backend.tune_private import CHECKED_WITH, forget_finished, next_to_start

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning:ray"),
    pytest.mark.filterwarnings("ignore::FutureWarning:ray"),
]

PACKAGE = Path(inspect.getfile(orchestrator)).parent


def private_attributes() -> set[str]:
    """Return the private attributes that ``tune_private.py`` uses."""
    nodes = ast.walk(ast.parse(inspect.getsource(tune_private)))
    return {node.attr for node in nodes if isinstance(node, ast.Attribute) and node.attr.startswith("_")}


@pytest.fixture
def controller(monkeypatch: pytest.MonkeyPatch) -> TuneController:
    """Return a controller of Tune as it is before its first trial. Ray is not started."""
    monkeypatch.setenv("TUNE_MAX_PENDING_TRIALS_PG", "1")  # otherwise it asks Ray for the number of CPUs
    return TuneController()


def test_ray_still_has_every_private_attribute(controller: TuneController) -> None:
    names = private_attributes()
    shared = {name for name in names if name.startswith("_internal_kv_")}
    gone = [f"TuneController.{name}" for name in sorted(names - shared) if not hasattr(controller, name)]
    gone += [f"internal_kv.{name}" for name in sorted(shared) if not hasattr(internal_kv, name)]
    assert len(names) == 7 + 4
    assert not gone, (
        f"Ray {ray.__version__} no longer has {', '.join(gone)}, which Ray {CHECKED_WITH} had: "
        "adapt orchestrator/ray_backend/tune_private.py, and set CHECKED_WITH there"
    )


def test_a_trial_whose_process_is_starting_keeps_it_as_long_as_there_is_another(
    controller: TuneController,
) -> None:
    assert next_to_start(controller) is None
    running, starting, new, newer = trials = [Trial("trial", stub=True) for _ in range(4)]
    controller._trials += trials
    running.status = Trial.RUNNING
    controller._trial_to_actor[starting] = object()
    assert next_to_start(controller) is new
    controller._trial_to_actor |= {new: object(), newer: object()}
    assert next_to_start(controller) is starting


def test_finished_trials_are_forgotten_and_others_kept(controller: TuneController, tmp_path: Path) -> None:
    trials = [Trial("trial", stub=True) for _ in range(5)]
    for index, trial in enumerate(trials):
        trial.storage = SimpleNamespace(trial_driver_staging_path=str(tmp_path / str(index)))
        Path(trial.local_path).mkdir()
        controller._trials.append(trial)
        controller._live_trials.add(trial)
        controller._trials_to_cache.add(trial)
        controller._trial_metadata[trial.trial_id] = "{}"
    first, failed, running, last, stopping = trials
    for trial in (first, last, stopping):
        trial.set_status(Trial.TERMINATED)
        controller._stopped_trials.add(trial)
    failed.set_status(Trial.ERROR)
    controller._failed_trials.add(failed)
    running.set_status(Trial.RUNNING)
    controller._trial_to_actor[stopping] = "its actor"

    forget_finished(controller, at_least=4)
    assert controller.get_trials() == trials
    forget_finished(controller, at_least=3)
    assert controller.get_trials() == [running, stopping]
    assert controller.get_live_trials() == controller._trials_to_cache == {running, stopping}
    assert controller._stopped_trials == {stopping}
    assert controller._failed_trials == set()
    assert [*controller._trial_metadata] == [running.trial_id, stopping.trial_id]
    assert {*tmp_path.iterdir()} == {Path(running.local_path), Path(stopping.local_path)}


def imported_names(path: Path) -> Iterator[str]:
    """Yield the dotted names that a file imports absolutely."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def test_no_file_imports_a_private_name_of_ray() -> None:
    """Private attributes are refused by ruff (SLF001) outside of ``tune_private.py``; private imports, here."""
    private = [
        f"{path.relative_to(PACKAGE)} imports {name}"
        for path in sorted(PACKAGE.rglob("*.py"))
        for name in imported_names(path)
        if name.startswith("ray.") and "._" in name
    ]
    assert private == []
