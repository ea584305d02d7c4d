from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from results import schema

DOCUMENT = Path(__file__).parents[2] / "docs" / "schema.md"


@pytest.mark.parametrize("name", ["points", "progress", "trials"])
def test_every_column_is_described_with_a_unit_where_it_has_one(name: str) -> None:
    for field in schema.TABLES[name]:
        metadata = {key.decode(): value.decode() for key, value in field.metadata.items()}
        assert metadata["description"], field.name
        if re.search(r"_(bytes|ms|s)$", field.name) and "_per_" not in field.name:
            assert metadata["unit"], field.name


@pytest.mark.parametrize("name", ["points", "progress", "trials"])
def test_the_document_shows_the_schema(name: str) -> None:
    assert schema.describe(schema.TABLES[name]) in DOCUMENT.read_text(), "run: python -m results.schema"


def test_volatile_columns_are_times_and_hosts() -> None:
    assert schema.volatile_columns(schema.POINTS) == [
        "latency_1_ms",
        "latency_1_spread_ms",
        "latency_64_ms",
        "latency_64_spread_ms",
        "latency_host",
        "device",
        "host",
        "search_s",
        "train_s",
        "ladder_s",
        "finished_at",
    ]
    assert schema.volatile_columns(schema.PROGRESS) == ["epoch_s", "images_per_s", "peak_bytes", "host", "at"]


def test_the_schema_carries_its_version() -> None:
    assert schema.schema_version(schema.POINTS) == schema.VERSION
    assert schema.schema_version(schema.bare(schema.POINTS)) == schema.VERSION
    assert schema.schema_version(schema.bare(schema.POINTS).with_metadata({})) is None


def test_python_m_prints_the_tables() -> None:
    printed = subprocess.run(
        [sys.executable, "-m", "results.schema"], capture_output=True, text=True, check=True
    ).stdout
    assert "## points" in printed
    assert "| `accuracy` | double | fraction |" in printed
