from __future__ import annotations

import pickle

import pytest

from results import errors

CLASSES = [
    kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.ResultsError)
]


@pytest.mark.parametrize("kind", CLASSES)
def test_every_error_is_a_results_error_and_survives_pickling(kind: type[Exception]) -> None:
    error = pickle.loads(pickle.dumps(kind("the rule, but got this")))  # noqa: S301
    assert isinstance(error, errors.ResultsError)
    assert isinstance(error, ValueError)
    assert type(error) is kind
    assert str(error) == "the rule, but got this"


def test_the_nearest_name_is_suggested() -> None:
    known = ["accuracy", "macs", "memory_bytes", "effective_macs"]
    assert errors.nearest("Accuracy", known) == "; did you mean `accuracy`?"
    assert errors.nearest("memory", known) == "; did you mean `memory_bytes`?"
    assert errors.nearest("", known) == ""
    assert errors.nearest("qqqq", known) == ""
