"""Entries that share their blocks are those that the whole texts hold."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from results.errors import BrokenFileError
from results.storage.ledger import LedgerEntry
from results.storage.shared_blocks import SharedBlocks

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
BLOCKS = st.dictionaries(st.text(), JSON, min_size=1, max_size=4)


def entry(index: int = 3, **fields: object) -> LedgerEntry:
    config = {"seed": 0, "space": {"name": "darts", "cells": 5}, "data": {"taps": ["*"], "path": None}}
    content = {"index": index, "key": f"k{index}", "seed": 7, "config": config, **fields}
    return LedgerEntry.model_validate(content)


@settings(max_examples=60)
@given(BLOCKS, JSON)
def test_any_content_is_read_as_from_the_whole_text(config: dict[str, object], extra: object) -> None:
    text = entry(config=config, extra={"any": extra}).to_json().encode()
    assert LedgerEntry.sharing(text, SharedBlocks()) == LedgerEntry.from_json(text)
    assert SharedBlocks().parse(text) == json.loads(text)


def test_a_text_that_was_damaged_anywhere_is_read_as_the_whole_text_is() -> None:
    text, blocks = entry(extra={"reason": "no"}).to_json().encode(), SharedBlocks()
    for i in range(len(text)):
        for damaged in (text[:i], text[:i] + text[i + 1 :], text[:i] + text[i : i + 9] + text[i:]):
            assert outcome(damaged, blocks) == outcome(damaged, None), damaged
    for indent in (None, 0, 1, 2):  # 1: that of older versions
        assert outcome(json.dumps(json.loads(text), indent=indent).encode(), blocks) == outcome(text, None)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"seed": 7,', b'"seed": 7'),
        (b'"cells": 5', b'"cells": NaN'),
        (b'"darts"', b'"\\ud800"'),
        (b'"index": 3,', b'"index": -1,'),
        (b'"state": "proposed",\n "failures": [],\n "extra": {}\n', b"\n"),
        (b'{\n "index"', b'{"extra": {\n "index"'),
        (b'"seed": 0,', b'"seed": 0,\n  "": {\n },\n "state": "failed",\n  "x": {'),
    ],
)
def test_what_is_no_entry_is_refused(old: bytes, new: bytes) -> None:
    text = entry().to_json().encode()
    assert old in text
    assert "not a ledger entry" in str(outcome(text.replace(old, new, 1), SharedBlocks()))


def test_equal_blocks_are_one_object() -> None:
    blocks = SharedBlocks()
    one, other = (LedgerEntry.sharing(entry(i).to_json().encode(), blocks) for i in (1, 2))
    assert one.config["space"] is other.config["space"]
    assert one.config is not other.config
    assert (one.index, other.key) == (1, "k2")


def outcome(text: bytes, blocks: SharedBlocks | None) -> object:
    try:
        return LedgerEntry.from_json(text) if blocks is None else LedgerEntry.sharing(text, blocks)
    except BrokenFileError as error:
        return str(error)
