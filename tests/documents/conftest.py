"""A folder like that of a reader: the examples, and finished runs of a sweep that takes seconds."""

from __future__ import annotations

import shutil
import warnings
from pathlib import Path

import pytest
import yaml

from orchestrator import Sweep
from orchestrator.conductor.conductor import Conductor
from orchestrator.conductor.monitor import Monitor
from results import RunDirectory, refresh_front
from tests.documents.snippets import ROOT
from trials import TrialConfig, TrialContext, run_trial

TINY = {
    "trial.space": {"cells": 3, "channels": 4, "nodes": 2},
    "trial.data": {"name": "digits", "train_images": 128, "test_images": 64},
    "trial.search": {"epochs": 1},
    "trial.train": {"epochs": 2},
    "sweep": {"space.splitting": [1, 2], "feature_maps.regularization": [0.0, 0.01]},
}
"""Changes that make examples/digits.yaml a sweep of seconds."""


@pytest.fixture(scope="session")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a small ``examples/digits.yaml``, its run ``runs/digits``, and a second run."""
    folder = tmp_path_factory.mktemp("workspace")
    (folder / "examples").mkdir()
    content = yaml.safe_load((ROOT / "examples" / "digits.yaml").read_text())
    for path, value in TINY.items():
        block, _, name = path.rpartition(".")
        (content[block] if block else content)[name] = value
    (folder / "examples" / "digits.yaml").write_text(yaml.safe_dump(content, sort_keys=False))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        make_run(Sweep.from_mapping(content), folder / "runs" / "digits")
    shutil.copytree(folder / "runs" / "digits", folder / "runs" / "digits-wide")
    return folder


def make_run(sweep: Sweep, folder: Path) -> None:
    """Run a sweep like a launch, but one trial after the other in this process, without Ray."""
    directory = RunDirectory(folder, create=True)
    directory.write_sweep(sweep.model_dump(mode="json"), {})
    conductor = Conductor(sweep, directory, Monitor())
    while entry := conductor.next():
        context = TrialContext(directory, entry.index, sweep.name)
        run_trial(TrialConfig.model_validate(entry.config), context)
        conductor.succeeded(entry.index)
    refresh_front(directory, sweep.objectives)
    directory.compact()
