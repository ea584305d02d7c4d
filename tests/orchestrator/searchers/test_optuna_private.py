"""The private names of Optuna that this project uses: they exist, and mean what they meant when they were checked."""

from __future__ import annotations

from collections.abc import Sequence

import optuna
import pytest
from optuna.samplers import NSGAIISampler

from orchestrator.searchers.optuna_private import CHECKED_WITH, generation_key

POPULATION = 4

pytestmark = pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")


def changed(what: str) -> str:
    return (
        f"{what} in Optuna {optuna.__version__}; orchestrator/searchers/optuna_private.py was checked with "
        f"{CHECKED_WITH}"
    )


def study_of(generations: Sequence[int]) -> optuna.Study:
    """Return a study with one finished trial of each of these generations, as ``OptunaSearcher`` adds them."""
    study = optuna.create_study(directions=["minimize", "minimize"])
    for number, generation in enumerate(generations):
        study.add_trial(
            optuna.trial.create_trial(
                params={"x": number / 10},
                distributions={"x": optuna.distributions.FloatDistribution(0.0, 1.0)},
                values=[number, -number],
                system_attrs={generation_key(): generation},
            )
        )
    return study


def test_the_private_method_exists() -> None:
    assert callable(getattr(NSGAIISampler, "_get_generation_key", None)), changed(
        "NSGAIISampler._get_generation_key is gone"
    )


def test_the_sampler_stores_the_generation_under_the_key() -> None:
    study = optuna.create_study(
        directions=["minimize", "minimize"], sampler=NSGAIISampler(population_size=POPULATION, seed=0)
    )
    study.optimize(lambda trial: (x := trial.suggest_float("x", 0, 1), 1 - x), n_trials=2 * POPULATION)
    stored = [trial.system_attrs.get(generation_key()) for trial in study.trials]
    assert stored == [0] * POPULATION + [1] * POPULATION, changed(
        f"NSGA-II no longer stores the generation of a trial under {generation_key()!r}"
    )


def test_the_sampler_looks_the_generation_up_under_the_key() -> None:
    sampler, study = NSGAIISampler(population_size=POPULATION, seed=0), study_of([0, 1, 0, 1, 0, 1, 0, 1])
    population = [trial.number for trial in sampler.get_population(study, 0)]
    parents = {trial.number for trial in sampler.get_parent_population(study, 1)}
    assert population == [0, 2, 4, 6], changed(
        f"NSGA-II no longer looks for the generation under {generation_key()!r}"
    )
    assert parents == {0, 2, 4, 6}, changed("NSGA-II no longer chooses parents from the generation before")
