"""The study: its page shows what its archived runs hold."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd
import pytest

from examples.study import archive, questions, tables
from orchestrator import Sweep
from orchestrator.sweep.differences import in_terms_of_run
from results import RunDirectory, open_run
from tests.results.pictures import night
from trials import TrialConfig
from trials.config import with_younger_fields

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "study.md"


@pytest.fixture(scope="module")
def studies() -> dict[str, archive.Study]:
    folders = [folder for folder in (ROOT / "docs" / "study").iterdir() if folder.is_dir()]
    return {folder.name: archive.read(folder) for folder in folders}


def test_every_table_of_the_page_is_computed_from_the_archived_runs(
    studies: dict[str, archive.Study],
) -> None:
    assert tables.fill(PAGE.read_text(), tables.tables(studies)) == PAGE.read_text()
    assert tables.MARK.search(PAGE.read_text())


def test_the_archived_runs_are_those_of_the_examples(studies: dict[str, archive.Study]) -> None:
    for name, study in studies.items():
        sweep = Sweep.from_yaml(ROOT / "examples" / f"{name}.yaml")
        example = in_terms_of_run(sweep, study.run.directory).model_dump(mode="json")
        stored = study.run.sweep()
        assert with_younger_fields(TrialConfig, stored["trial"]) == example["trial"]
        assert all(set(map(str, values)) <= set(map(str, example["sweep"][path]))
                   for path, values in stored["sweep"].items())  # fmt: skip


def test_every_picture_exists_and_has_a_description() -> None:
    pictures = re.findall(r"!\[([^\]]*)\]\(([^)]+\.svg)\)", PAGE.read_text())
    assert pictures
    assert all(words and (PAGE.parent / file).exists() for words, file in pictures)


def test_an_archived_run_is_a_run(tmp_path: Path) -> None:
    source = tmp_path / "night"
    run = night(RunDirectory(source))
    archive.keep(source, tmp_path / "archived")
    study = archive.read(tmp_path / "archived")
    names = ["point", "accuracy", "macs"]
    pd.testing.assert_frame_equal(study.run.points(names), run.points(names))
    assert len(study.epochs) == len(run.progress())
    assert archive.name_of(tmp_path / "archived") == "night"
    assert not open_run(tmp_path / "archived").problems()


def test_incomplete_seeds_are_not_archived(tmp_path: Path) -> None:
    source = tmp_path / "night"
    night(RunDirectory(source), trials=9)  # six trials of seed 0, three of seed 1
    archive.keep(source, tmp_path / "archived")
    study = archive.read(tmp_path / "archived")
    assert set(study.points["seed"]) == set(study.epochs["seed"]) == {0}


def test_means_are_over_seeds_and_changes_seed_by_seed() -> None:
    points = pd.DataFrame(
        {"reading": ["a", "a", "b", "b", "b"], "seed": [0, 1, 0, 1, 1], "accuracy": [0.5, 0.7, 0.4, 0.5, 0.7]}
    )
    means = questions.over_seeds(points, ["reading"], ["accuracy"]).set_index("reading").round(6)
    assert means.loc["b"].to_dict() == {"accuracy": 0.5, "accuracy_low": 0.4, "accuracy_high": 0.6}
    changes = questions.against(points, "reading", "a", [], "accuracy").round(6)
    assert changes.loc["b"].to_dict() == {"mean": -0.1, "low": -0.1, "high": -0.1}


def test_a_missing_table_is_an_error() -> None:
    with pytest.raises(KeyError, match="nothing"):
        tables.fill("<!-- table: nothing -->\n<!-- end -->", {})
