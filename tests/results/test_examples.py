"""The examples in the docstrings of the results room are true."""

from __future__ import annotations

import doctest
import importlib
import pkgutil

import pandas as pd
import pytest

import results
from results import RunDirectory
from tests.results.test_run import fill

MODULES = sorted(module.name for module in pkgutil.iter_modules(results.__path__))


@pytest.mark.parametrize("name", MODULES)
def test_examples(name: str, local: RunDirectory) -> None:
    """``run`` in the examples is a run of six small trials."""
    names = {"run": fill(local), "pd": pd}
    failed, _ = doctest.testmod(importlib.import_module(f"results.{name}"), extraglobs=names)
    assert failed == 0
