"""Random numbers of the parts of a trial are independent of each other, and of the parts of other seeds."""

from __future__ import annotations

import numpy as np
import pytest

from tests.trials.tiny import compute_of, images_of, network_of, tiny_config
from trials import TrialConfig
from trials.config import of_record
from trials.data.seeds import Purpose, seed_of
from trials.device.parallel import Mesh
from trials.search.search import Search
from trials.train.training import Training


def test_no_two_parts_of_any_trials_share_a_seed() -> None:
    seeds = {seed_of(seed, purpose, "separate") for seed in range(500) for purpose in Purpose}
    assert len(seeds) == 500 * len(Purpose)
    assert max(seeds) < 2**63


@pytest.mark.parametrize("streams", ["separate", "shared"])
def test_search_and_training_use_the_seeds_of_their_purposes(streams: str) -> None:
    config = TrialConfig.model_validate({**tiny_config().model_dump(), "streams": streams})
    parts = (images_of(config), compute_of(config), Mesh())
    search, training = Search(config, *parts), Training(config, network_of().genotype, *parts)
    used = [search.training_batches.seed, search.validation_batches.seed, training.batches.seed]
    purposes = (Purpose.SEARCH_WEIGHTS, Purpose.SEARCH_ALPHAS, Purpose.TRAINING_IMAGES)
    assert used == [seed_of(config.seed, purpose, config.streams) for purpose in purposes]
    assert (used == [3, 4, 5]) == (streams == "shared")


def test_a_trial_of_an_older_version_keeps_its_streams_and_its_keys() -> None:
    old = tiny_config().model_dump(mode="json")
    del old["streams"]
    read = of_record(TrialConfig, old)
    assert read.streams == "shared"
    new = tiny_config()
    assert new.streams == "separate"
    assert new.trial_key() != read.trial_key()
    assert new.search_key() != read.search_key()


def test_the_orders_of_two_purposes_are_unrelated() -> None:
    orders = [
        np.random.default_rng([seed_of(seed, purpose, "separate"), 0, 0]).permutation(1000)
        for seed, purpose in (
            (0, Purpose.TRAINING_IMAGES),
            (1, Purpose.SEARCH_ALPHAS),
            (2, Purpose.SEARCH_WEIGHTS),
        )
    ]
    for one in range(3):
        correlation = np.corrcoef(orders[one], orders[one - 1])[0, 1]
        assert abs(correlation) < 0.15
