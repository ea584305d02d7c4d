from __future__ import annotations

import json
import math
import os
from pathlib import Path

import pytest

from results import BrokenFileError, LedgerEntry, ResultsError, RunDirectory
from results.storage.ledger import Failure

ENTRY = LedgerEntry(
    index=7,
    key="ab12",
    seed=3,
    config={"space": {"s": 2}},
    failures=[Failure(kind="MemoryError", message="out of memory")],
)


def test_an_entry_is_read_as_it_was_written() -> None:
    assert LedgerEntry.from_json(ENTRY.to_json()) == ENTRY


def test_an_entry_has_a_line_for_each_block() -> None:
    lines = ENTRY.to_json().splitlines()
    assert lines[4:7] == [' "config": {', '  "space": {"s": 2}', " },"]
    assert len(lines) == 11
    assert LedgerEntry.from_json(json.dumps(json.loads(ENTRY.to_json()), indent=1)) == ENTRY


def test_fields_of_a_later_version_are_kept() -> None:
    text = ENTRY.to_json().replace('"seed": 3', '"seed": 3, "priority": 9')
    text = text.replace('"kind": "MemoryError"', '"kind": "MemoryError", "host": "node-1"')
    entry = LedgerEntry.from_json(LedgerEntry.from_json(text).to_json())
    assert entry.extra == {"priority": 9}
    assert entry.failures[0].model_dump()["host"] == "node-1"
    assert entry.reason == "MemoryError: out of memory"


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"index": -1}', '"x"', "\x00", ENTRY.to_json()[:40]])
def test_text_that_is_not_an_entry_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(BrokenFileError, match="not a ledger entry") as caught:
        LedgerEntry.from_json(text)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("value", [math.nan, math.inf, object(), {1, 2}])
def test_only_plain_json_can_be_stored(value: object) -> None:
    with pytest.raises(ResultsError, match="plain JSON, but trial 0"):
        LedgerEntry(index=0, key="a", seed=0, config={"x": value}).to_json()


def test_unknown_fields_are_errors() -> None:
    with pytest.raises(ValueError, match="stat"):
        LedgerEntry(index=0, key="a", seed=0, config={}, stat="failed")  # type: ignore[call-arg]


def test_failures_of_version_0_1_are_read_as_records() -> None:
    text = '{"index": 7, "key": "ab12", "seed": 3, "config": {}, "state": "failed", "failures": ["TrialError: nan"]}'
    entry = LedgerEntry.from_json(text)
    assert entry.failures == [Failure(message="TrialError: nan")]
    assert entry.reason == "TrialError: nan"
    assert LedgerEntry.from_json(entry.to_json()) == entry


HOSTILE: dict[str, dict[str, object]] = {
    "an index beyond the tables": {"index": 2**31},
    "a seed beyond 64 bits": {"seed": 1e25},
    "a key that leaves the folder": {"key": "../../x"},
    "a key with a line end": {"key": "0123\n"},
    "no Unicode": {"config": {"data": "\ud800"}},
    "a number that is none": {"config": {"width": float("nan")}},
    "a megabyte": {"extra": {"note": "x" * 1_000_001}},
    "extra that is a list": {"extra": [1]},
}


@pytest.mark.parametrize("case", HOSTILE)
def test_an_entry_that_no_launch_can_use_is_broken(case: str) -> None:
    entry = {"index": 0, "key": "0123", "seed": 0, "config": {"seed": 0}, **HOSTILE[case]}
    with pytest.raises(BrokenFileError):
        LedgerEntry.from_json(json.dumps(entry))


def test_an_entry_that_is_nested_without_end_is_broken() -> None:
    with pytest.raises(BrokenFileError):
        LedgerEntry.from_json('{"index": 0, "config": ' + "[" * 100_000)


def test_the_reason_of_a_failure_cannot_control_a_terminal() -> None:
    entry = LedgerEntry(
        index=0,
        key="0123",
        seed=0,
        config={},
        state="failed",
        failures=[Failure(message="\x1b]0;x\x07\x9b2J")],
    )
    assert entry.reason is not None
    assert entry.reason.isprintable()


@pytest.mark.parametrize("name", ["sweep.yaml", "lease.json", "ledger/000000.json", "front.parquet"])
def test_a_pipe_in_a_run_directory_keeps_nobody_waiting(name: str, tmp_path: Path) -> None:
    directory = RunDirectory(tmp_path / "run", create=True)
    os.mkfifo(tmp_path / "run" / name)
    assert directory.read_sweep() is None
    assert directory.read_lease() is None
    assert directory.read_ledger() == []
    assert directory.read_front() is None
