"""Fine-tuning in a sweep: the path of each lambda, and blocks that cannot mean what they say."""

from __future__ import annotations

import pytest

from orchestrator import Sweep, SweepError

PREVIOUS = {"epochs": 2, "from": "previous"}


def sweep_of(finetune: object, **swept: object) -> Sweep:
    dimensions = {path.replace("__", "."): values for path, values in swept.items()}
    return Sweep(name="path", trial={"finetune": finetune}, sweep=dimensions)


def test_each_lambda_starts_at_the_next_smaller_one_whatever_the_order() -> None:
    sweep = sweep_of(PREVIOUS, finetune__regularization=[0.1, 0.0, 0.03])
    paths = {
        value: sweep.config({"finetune.regularization": value}).finetune.path for value in (0.0, 0.03, 0.1)
    }
    assert paths == {0.0: (), 0.03: (0.0,), 0.1: (0.0, 0.03)}
    last = sweep.config({"finetune.regularization": 0.1})
    assert [stage.finetune.regularization for stage in last.stages()[1:]] == [0.0, 0.03, 0.1]
    assert last.stages()[1].trial_key() == sweep.config({"finetune.regularization": 0.0}).trial_key()


def test_a_stored_sweep_comes_back() -> None:
    sweep = sweep_of(PREVIOUS, finetune__regularization=[0.0, 0.1])
    assert Sweep.from_mapping(sweep.model_dump(mode="json")) == sweep


@pytest.mark.parametrize(
    ("finetune", "swept", "line"),
    [
        (PREVIOUS, {"space__splitting": [1]}, "to be a list of numbers, but got nothing"),
        (PREVIOUS, {"finetune__regularization": {"low": 0.1, "high": 1}}, "but got something else"),
        (PREVIOUS, {"finetune__regularization": [None, 0.1]}, "but got something else"),
        (
            PREVIOUS | {"path": [0.1]},
            {"finetune__regularization": [0.1, 1]},
            "`finetune.path` is filled in by",
        ),
        (
            {"epochs": 0, "weight_bits": 4},
            {"space__splitting": [1]},
            "`finetune.weight_bits` has no effect without",
        ),
        ({"from": "previous"}, {"finetune__regularization": [0, 1]}, "`finetune.from` has no effect without"),
        ({}, {"finetune__threshold": [0, 1]}, "`finetune.threshold` has no effect without fine-tuning"),
    ],
)
def test_a_block_that_cannot_mean_what_it_says_is_one_line(
    finetune: object, swept: dict[str, object], line: str
) -> None:
    with pytest.raises(SweepError) as caught:
        sweep_of(finetune, **swept)
    assert any(line in fault for fault in caught.value.lines)


def test_epochs_may_be_swept_from_none() -> None:
    sweep = sweep_of({"threshold": 0.1}, finetune__epochs=[0, 2])
    assert [sweep.config({"finetune.epochs": n}).epochs - sweep.trial.epochs for n in (0, 2)] == [0, 2]
