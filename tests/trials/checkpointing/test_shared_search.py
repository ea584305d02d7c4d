"""Trials that differ only in their training share one search, and their results are as if each had searched."""

from __future__ import annotations

from pathlib import Path

import pytest

from results.record_types import JsonObject
from tests.doubles.stopped import StoppedError
from tests.trials.test_trial import assert_same_trial
from tests.trials.tiny import context_in, tiny_config
from trials import TrialConfig, run_trial
from trials.data.image_set import Images
from trials.device.compute import Compute
from trials.device.parallel import Mesh
from trials.search.search import Search

PLAIN = tiny_config()
REGULARIZED = tiny_config(feature_maps={"regularization": 0.01})


@pytest.fixture
def searches(monkeypatch: pytest.MonkeyPatch) -> list[TrialConfig]:
    """The trials that have run a search of their own."""
    started: list[TrialConfig] = []
    original = Search.__init__

    def start(self: Search, config: TrialConfig, images: Images, compute: Compute, mesh: Mesh) -> None:
        started.append(config)
        original(self, config, images, compute, mesh)

    monkeypatch.setattr(Search, "__init__", start)
    return started


def test_a_trial_with_another_lambda_reuses_the_search_and_gets_the_same_results(
    tmp_path: Path, searches: list[TrialConfig]
) -> None:
    shared, alone = context_in(tmp_path / "shared"), context_in(tmp_path / "alone")
    rows: list[tuple[str, int]] = []
    run_trial(PLAIN, shared)
    reporting = context_in(tmp_path / "shared", lambda row: rows.append((row["trial_key"], row["step"])))
    run_trial(REGULARIZED, reporting)
    assert searches == [PLAIN]
    run_trial(REGULARIZED, alone)
    assert searches == [PLAIN, REGULARIZED]
    assert_same_trial(shared.directory, alone.directory, REGULARIZED)
    assert rows == [(REGULARIZED.trial_key(), step) for step in (1, 2, 3, 4)]


def test_a_trial_that_is_stopped_in_its_last_search_epoch_leaves_its_search(
    tmp_path: Path, searches: list[TrialConfig]
) -> None:
    def stop(row: JsonObject) -> None:
        if row["step"] == PLAIN.search.epochs:
            raise StoppedError

    with pytest.raises(StoppedError):
        run_trial(PLAIN, context_in(tmp_path / "shared", stop))
    shared = context_in(tmp_path / "shared")
    run_trial(REGULARIZED, shared)
    assert searches == [PLAIN]
    run_trial(PLAIN, shared)  # as if it had been killed there
    assert searches == [PLAIN]
    alone = context_in(tmp_path / "alone")
    run_trial(PLAIN, alone)
    assert_same_trial(shared.directory, alone.directory, PLAIN)


def test_the_search_key_depends_on_everything_that_affects_the_search() -> None:
    same = [PLAIN, REGULARIZED, tiny_config(train={"epochs": 5}), tiny_config(ladder={"threshold": [0.5]})]
    assert len({config.search_key() for config in same}) == 1
    others = [
        tiny_config(space={"splitting": 2}),
        tiny_config(search={"epochs": 3}),
        tiny_config(data={"train_images": 64}),
        tiny_config(feature_maps={"regularization": 0.01, "in_search": True}),
        tiny_config(feature_maps={"regularization": 0.01}, search={"regularize_alphas": True}),
        PLAIN.model_copy(update={"seed": 4}),
    ]
    assert len({config.search_key() for config in [PLAIN, *others]}) == 1 + len(others)


def test_a_damaged_search_is_repeated(tmp_path: Path, searches: list[TrialConfig]) -> None:
    context = context_in(tmp_path)
    run_trial(PLAIN, context)
    (stored,) = (tmp_path / "checkpoints" / PLAIN.search_key()).iterdir()
    stored.write_bytes(stored.read_bytes()[:-100])
    run_trial(REGULARIZED, context)
    assert searches == [PLAIN, REGULARIZED]
