from __future__ import annotations

import math

import pytest

from results import BrokenFileError, LedgerEntry, ResultsError
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
