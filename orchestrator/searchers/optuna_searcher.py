"""Optuna's NSGA-II and multi-objective TPE behind this project's searcher interface.

Every rung of a finished trial's ladder becomes one trial of the study, with the same parameters and its
own objectives. Proposal k is drawn by a sampler seeded with (seed, k), so it is a function of the results
told until then and of nothing else: a study that is built anew from ledger and points goes on exactly where
it was.

Results are told in the order in which trials finish. With one trial at a time this is the order of proposal,
and the same sweep gives the same ledger; with several at a time it is not promised.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from typing import Any, Literal

import numpy as np
import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.samplers import BaseSampler, NSGAIISampler, TPESampler
from optuna.trial import TrialState

from orchestrator.searchers.optuna_private import generation_key
from orchestrator.searchers.random_searcher import RandomSearcher
from orchestrator.sweep.dimensions import Assignment, Dimension, Range, Values, as_text

_STUDY = "sweep"

ATTEMPTS = {"nsga2": 24, "tpe": 4}
"""Draws of the sampler for one proposal (TPE's are slow); when all are known, a random one is taken."""


class OptunaSearcher:
    """NSGA-II (``nsga2``) or TPE (``tpe``) over several objectives and mixed directions."""

    adaptive = True

    def __init__(
        self,
        dimensions: Sequence[Dimension],
        *,
        directions: Sequence[str],
        kind: Literal["nsga2", "tpe"],
        population: int,
        rungs: int,
        seed: int,
    ) -> None:
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self._dimensions = dimensions
        self._distributions = {d.path: _indexed_distribution(d) for d in dimensions}
        self._kind = kind
        self._population = population * rungs if kind == "nsga2" else population
        self._seed = seed
        names = {"max": "maximize", "min": "minimize"}
        self._storage = optuna.storages.InMemoryStorage()
        optuna.create_study(
            study_name=_STUDY,
            storage=self._storage,
            directions=[names[direction] for direction in directions],
        )
        self._told = 0  # trials, not rungs
        self._generation, self._in_generation = 0, 0
        self._random = RandomSearcher(dimensions, seed)

    def candidates(self, index: int) -> Iterator[Assignment]:
        if self._learned():
            for attempt in range(ATTEMPTS[self._kind]):
                yield self._draw(index, attempt)
        yield from self._random.candidates(index)

    def tell(
        self,
        index: int,
        assignment: Assignment,
        points: Sequence[Sequence[float]],
        violations: Sequence[Sequence[float]] = (),
    ) -> None:
        if not points:
            return
        parameters = {d.path: _parameter(d, assignment[d.path]) for d in self._dimensions}
        if self._kind == "nsga2" and self._in_generation >= self._population:
            self._generation, self._in_generation = self._generation + 1, 0
        attributes = {generation_key(): self._generation} if self._kind == "nsga2" else {}
        study = self._study()
        for place, point in enumerate(points):
            broken = enumerate(violations[place]) if violations else ()
            study.add_trial(
                optuna.trial.create_trial(
                    params=parameters,
                    distributions=self._distributions,
                    values=list(point),
                    system_attrs=dict(attributes),  # it is written to
                    constraints={str(number): violation for number, violation in broken},
                )
            )
        self._told += 1
        self._in_generation += len(points)

    def _learned(self) -> bool:
        """Say whether there is a first generation to learn from; until then, draws are spread evenly."""
        if self._kind == "tpe":
            return self._told >= self._population
        return self._generation > 0 or self._in_generation >= self._population

    def _draw(self, index: int, attempt: int) -> Assignment:
        """Ask the sampler; nothing is added to the study, which holds results only."""
        sampler = self._sampler(index, attempt)
        attributes = {}
        if isinstance(sampler, NSGAIISampler):
            generation = self._generation + (self._in_generation >= self._population)
            attributes = {generation_key(): generation}
            self._choose_parents(sampler, generation)
        study = self._study()
        asked = optuna.trial.create_trial(state=TrialState.RUNNING, system_attrs=attributes)
        space = sampler.infer_relative_search_space(study, asked)
        drawn = sampler.sample_relative(study, asked, space)
        for name, distribution in self._distributions.items():
            if name not in drawn and not distribution.single():
                drawn[name] = sampler.sample_independent(study, asked, name, distribution)
        return {d.path: _value(d, drawn.get(d.path, 0)) for d in self._dimensions}

    def _choose_parents(self, sampler: NSGAIISampler, newest: int) -> None:
        """Have Optuna store the parents of every generation, oldest first.

        Parents that are read back come in the order of the study, those just chosen do not: a study that was
        built anew would draw differently.
        """
        study = self._study()
        for generation in range(1, newest + 1):
            sampler.get_parent_population(study, generation)

    def _study(self) -> optuna.Study:
        """Return the study with all that was told: a study that is kept would go by what it saw first."""
        return optuna.load_study(study_name=_STUDY, storage=self._storage, sampler=self._sampler(0, 0))

    def _sampler(self, index: int, attempt: int) -> BaseSampler:
        seed = int(np.random.SeedSequence([self._seed, index, attempt]).generate_state(1)[0])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            if self._kind == "nsga2":
                return NSGAIISampler(population_size=self._population, seed=seed)
            return TPESampler(n_startup_trials=self._population, multivariate=False, seed=seed)


def _indexed_distribution(dimension: Dimension) -> BaseDistribution:
    if isinstance(dimension, Values):
        if dimension.ordered:
            return IntDistribution(0, dimension.size - 1)
        return CategoricalDistribution(list(range(dimension.size)))
    if dimension.integer and dimension.log:
        return IntDistribution(int(dimension.low), int(dimension.high), log=True)
    if dimension.size is not None:
        return IntDistribution(0, dimension.size - 1)
    return FloatDistribution(dimension.low, dimension.high, log=dimension.log)


def _counted(dimension: Dimension) -> bool:
    return dimension.size is not None


def _parameter(dimension: Dimension, value: Any) -> Any:
    """Return what the study knows a value as: its place where values can be counted, else itself."""
    if isinstance(dimension, Values):
        return [as_text(choice) for choice in dimension.choices].index(as_text(value))
    if _counted(dimension):
        assert isinstance(dimension, Range)
        assert dimension.step is not None
        return round((value - dimension.low) / dimension.step)
    return value


def _value(dimension: Dimension, parameter: Any) -> Any:
    return dimension.value(int(parameter)) if _counted(dimension) else parameter
