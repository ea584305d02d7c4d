"""Versions that change between the launches of a run are said, and kept."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from orchestrator.conductor.versions import changes, installed_versions, with_history
from results import RunDirectory

NOW = datetime(2026, 1, 31, 8, tzinfo=UTC)
FIRST, SECOND = {"torch": "2.12.0", "numpy": "2.4.0"}, {"torch": "2.13.0", "numpy": "2.4.0"}


def test_the_record_keeps_the_versions_of_every_earlier_launch(tmp_path: Path) -> None:
    directory = RunDirectory(tmp_path)
    for versions in (FIRST, FIRST, SECOND, FIRST):
        stored = directory.read_versions()
        directory.write_sweep(
            {"name": "x"}, {**with_history(stored, versions, NOW), "data": {"digits": "ab"}}
        )
    until = {"until": "2026-01-31T08:00:00+00:00"}
    assert directory.read_versions() == {
        **FIRST,
        "earlier": [{**FIRST, **until}, {**SECOND, **until}],
        "data": {"digits": "ab"},
    }
    assert directory.read_sweep() == {"name": "x"}


def test_changes_are_named_and_nothing_else() -> None:
    assert changes(FIRST, SECOND) == ["torch 2.13.0 instead of 2.12.0"]
    assert changes({}, SECOND) == changes(SECOND, SECOND) == []
    assert installed_versions().keys() >= {"shrinksweep", "torch", "ray", "optuna", "numpy"}
