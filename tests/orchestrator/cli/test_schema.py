"""The JSON schema accepts what ``Sweep`` accepts, and rejects what an editor can reject."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from orchestrator.sweep import yaml_text
from orchestrator.sweep.sweep_schema import sweep_schema
from tests.orchestrator.cli.conftest import command

jsonschema = pytest.importorskip("jsonschema")
MINIMAL = {"name": "x", "sweep": {"space.splitting": [1]}}
EXAMPLES = sorted((Path(__file__).parents[3] / "examples").glob("*.yaml"))


def faults(content: Mapping[str, object]) -> list[str]:
    schema = sweep_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    return [error.message for error in jsonschema.Draft202012Validator(schema).iter_errors(content)]


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_every_example_is_valid(path: Path) -> None:
    assert faults(yaml_text.read(path)) == []


@pytest.mark.parametrize(
    "swept",
    [
        {"feature_maps.regularization": {"low": 1e-6, "high": 1e-3, "log": True}},
        {"train.epochs": {"low": 1, "high": 9, "step": 2}},
        {"search.algorithm": {"choices": ["darts", "pc_darts"]}},
        {"search.stop_when_skips_exceed": [None, 0.5]},
    ],
)
def test_every_form_of_a_dimension_is_valid(swept: dict[str, object]) -> None:
    assert faults(MINIMAL | {"sweep": swept}) == []


@pytest.mark.parametrize(
    "content",
    [
        {"sweep": {"space.splitting": [1]}},
        MINIMAL | {"nmae": "x"},
        MINIMAL | {"trial": {"space": {"cell": 3}}},
        MINIMAL | {"objectives": {"accuracy": "maximum"}},
        MINIMAL | {"sweep": {"space.spliting": [1]}},
        MINIMAL | {"sweep": {"ladder.threshold": [0.1]}},
        MINIMAL | {"sweep": {"space.splitting": 1}},
        MINIMAL | {"sweep": {"space.splitting": []}},
        MINIMAL | {"sweep": {"search.algorithm": {"low": 0, "high": 1}}},
        MINIMAL | {"strategy": {"searcher": "bayes"}},
    ],
)
def test_what_an_editor_can_reject_is_rejected(content: dict[str, object]) -> None:
    assert faults(content)


def test_every_field_is_explained() -> None:
    properties = json.loads(json.dumps(sweep_schema()))["properties"]
    assert all(part.get("description") or part.get("$ref") for part in properties.values())
    assert all(part["description"] for part in properties["sweep"]["properties"].values())


def test_the_command_prints_the_schema(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = command(capsys, "schema")
    assert status == 0
    assert json.loads(out) == json.loads(json.dumps(sweep_schema()))
