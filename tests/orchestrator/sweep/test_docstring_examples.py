"""The examples in the docstrings of this package."""

from __future__ import annotations

import doctest
from types import ModuleType

import pytest

from orchestrator.sweep import faults, joint_dimensions, yaml_text


@pytest.mark.parametrize("module", [faults, joint_dimensions, yaml_text])
def test_examples_in_docstrings(module: ModuleType) -> None:
    failed, attempted = doctest.testmod(module)
    assert attempted > 0
    assert failed == 0
