"""Trials that differ only in what follows a stage share it, and their results are as if each had computed it alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from results import RunDirectory
from tests.doubles.stopped import StoppedError
from tests.trials.test_trial import assert_same_trial, points_of, stopping_at
from tests.trials.tiny import context_in, tiny_config
from trials import TrialConfig, run_trial
from trials.train.training import Training


def fine_tuned(**finetune: object) -> TrialConfig:
    block = {"epochs": 1, **finetune} if finetune else {}
    return tiny_config(
        search={"epochs": 0},
        train={"epochs": 1},
        ladder={"threshold": [0.1], "weight_bits": [4], "feature_map_bits": [8]},
        finetune=block,
    )


PLAIN = fine_tuned()
FIRST = fine_tuned(regularization=0.1)
SECOND = fine_tuned(regularization=1.0, path=[0.1])
AWARE = fine_tuned(threshold=0.1, weight_bits=4, feature_map_bits=4, epochs=2)


@pytest.fixture
def stages(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The trials whose last stage was computed, by their keys, in order."""
    computed: list[str] = []
    original = Training.run_epoch

    def run(self: Training, epoch: int) -> object:
        computed.append(self.config.trial_key())
        return original(self, epoch)

    monkeypatch.setattr(Training, "run_epoch", run)
    return computed


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> dict[str, RunDirectory]:
    """Each trial in a run directory of its own."""
    found = {}
    for config in (PLAIN, SECOND, AWARE):
        context = context_in(tmp_path_factory.mktemp("alone"))
        run_trial(config, context)
        found[config.trial_key()] = context.directory
    return found


def test_the_stages_of_a_path_are_the_trials_that_end_there() -> None:
    assert SECOND.stages() == (PLAIN, FIRST, SECOND)
    assert PLAIN.stages() == (PLAIN,)
    assert [config.epochs for config in SECOND.stages()] == [1, 2, 3]


def test_a_block_without_epochs_is_no_other_trial() -> None:
    assert fine_tuned(epochs=0, regularization=0.1).trial_key() == PLAIN.trial_key()
    assert len({PLAIN.trial_key(), FIRST.trial_key(), SECOND.trial_key(), AWARE.trial_key()}) == 4


def test_whoever_comes_first_computes_a_stage_and_all_results_are_the_same(
    tmp_path: Path, stages: list[str], alone: dict[str, RunDirectory]
) -> None:
    stages.clear()
    shared = context_in(tmp_path)
    for config in (SECOND, PLAIN, AWARE, FIRST):
        run_trial(config, shared)
    keys = [config.trial_key() for config in (PLAIN, FIRST, SECOND, AWARE, AWARE)]
    assert stages == keys
    for config in (PLAIN, SECOND, AWARE):
        assert_same_trial(shared.directory, alone[config.trial_key()], config)
    phases = shared.directory.read_progress(SECOND.trial_key()).to_pylist()
    assert [(row["phase"], row["epoch"], row["step"]) for row in phases] == [
        ("train", 1, 1), ("finetune", 1, 2), ("finetune", 1, 3),
    ]  # fmt: skip
    assert points_of(shared.directory, PLAIN) != points_of(shared.directory, AWARE)


@pytest.mark.parametrize(("config", "step"), [(SECOND, 2), (AWARE, 2), (AWARE, 3)], ids=str)
def test_a_trial_that_is_killed_in_a_fine_tuning_goes_on_bit_for_bit(
    config: TrialConfig, step: int, tmp_path: Path, stages: list[str], alone: dict[str, RunDirectory]
) -> None:
    stages.clear()
    with pytest.raises(StoppedError):
        run_trial(config, context_in(tmp_path, stopping_at(step)))
    run_trial(config, context_in(tmp_path))
    assert len(stages) == config.epochs  # no epoch was computed twice
    assert_same_trial(context_in(tmp_path).directory, alone[config.trial_key()], config)
