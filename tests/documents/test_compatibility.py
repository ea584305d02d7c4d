"""The promises of the compatibility page, on runs that version 0.1 has left."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import yaml

import shrinksweep
from orchestrator import Sweep
from orchestrator.conductor.standing import Standing
from orchestrator.sweep.differences import difference_faults, in_terms_of_run
from results import RunDirectory, open_run
from results.schema import POINTS, VERSION, schema_version
from results.tables.run_tables import LONG_COLUMNS
from tests.documents.snippets import ROOT
from trials import TrialConfig
from trials.config import of_record

OLD_RUNS = sorted(folder for folder in (ROOT / "docs" / "study").iterdir() if folder.is_dir())


@pytest.mark.parametrize("folder", OLD_RUNS, ids=lambda folder: folder.name)
def test_an_old_run_opens_with_all_columns(folder: Path) -> None:
    stored = pq.read_schema(folder / "points.parquet")
    assert (schema_version(stored) or 0) <= VERSION
    points = open_run(folder).points()
    assert set(POINTS.names) - set(LONG_COLUMNS) <= set(points.columns)
    assert not open_run(folder).problems()


@pytest.mark.parametrize("folder", OLD_RUNS, ids=lambda folder: folder.name)
def test_the_trials_of_an_old_run_keep_their_keys(folder: Path) -> None:
    points = pq.read_table(folder / "points.parquet", columns=["trial_key", "config"]).to_pandas()
    trials = points.drop_duplicates("trial_key")
    keys = [of_record(TrialConfig, json.loads(config)).trial_key() for config in trials["config"]]
    assert keys == trials["trial_key"].tolist()


@pytest.mark.parametrize("folder", OLD_RUNS, ids=lambda folder: folder.name)
def test_the_sweep_of_an_old_run_is_recognized(folder: Path) -> None:
    stored = yaml.safe_load((folder / "sweep.yaml").read_text())
    del stored["versions"]
    run = RunDirectory(folder)
    sweep = in_terms_of_run(Sweep.from_mapping(stored), run)
    assert difference_faults(sweep, run) == []
    assert not Standing.read(sweep, run).short, "no rung is missing"


def test_the_page_names_the_schema_version() -> None:
    pages = [(ROOT / "docs" / name).read_text() for name in ("compatibility.md", "schema.md")]
    assert [re.findall(r"shrinksweep.schema_version`[^\d]*now (\d+)", page) for page in pages] == [
        [str(VERSION)]
    ] * 2


def test_the_page_names_the_supported_versions_of_python() -> None:
    project = (ROOT / "pyproject.toml").read_text()
    found = re.findall(r"Programming Language :: Python :: (3\.\d+)", project)
    page = (ROOT / "docs" / "compatibility.md").read_text()
    assert f"Python {', '.join(found[:-1])} and {found[-1]} are supported" in page


def test_the_citation_has_the_version_and_the_license_of_the_project() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["version"] == shrinksweep.__version__
    assert f'license = "{citation["license"]}"' in (ROOT / "pyproject.toml").read_text()
    assert {"cff-version", "message", "title", "authors"} <= set(citation)
