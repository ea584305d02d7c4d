"""Optuna's NSGA-II and multi-objective TPE as searchers.

Every rung of a finished trial's ladder becomes one trial of an Optuna study: the same parameters, its own objectives.
Proposal k is drawn by a sampler seeded with (seed, k), so it depends only on the results told before it. A searcher
rebuilt from ledger and points therefore continues exactly where it stopped.

Results are told in the order in which trials finish. With one trial at a time this is the order of proposal, and the
same sweep gives the same ledger. With several at a time this is not guaranteed.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from typing import ClassVar, Literal

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
from typing_extensions import override

from orchestrator.searchers.base import Searcher
from orchestrator.searchers.optuna_private import generation_key
from orchestrator.searchers.random_searcher import RandomSearcher
from orchestrator.sweep.dimensions import Assignment, Dimension, FieldValue, Values, as_text

_STUDY_NAME = "sweep"

ATTEMPTS = {"nsga2": 24, "tpe": 4}
"""Draws of the sampler for one proposal (TPE's are slow). If all are known, a random candidate is proposed."""


class OptunaSearcher(Searcher):
    """NSGA-II (``nsga2``) or TPE (``tpe``) over several objectives, each maximized or minimized.

    Args:
        dimensions: what is swept.
        directions: ``max`` or ``min`` for each objective.
        kind: the sampler.
        population: trials per generation (``nsga2``), or random trials before the model is used (``tpe``).
        rungs: points of one trial's ladder.
        seed: seed of the sampler.
    """

    adaptive: ClassVar[bool] = True

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
        self._distributions = {d.path: _distribution(d) for d in dimensions}
        self._kind = kind
        self._population = population * rungs if kind == "nsga2" else population
        self._seed = seed
        names = {"max": "maximize", "min": "minimize"}
        self._storage = optuna.storages.InMemoryStorage()
        optuna.create_study(
            study_name=_STUDY_NAME,
            storage=self._storage,
            directions=[names[direction] for direction in directions],
        )
        self._trial_count = 0  # finished trials, not their rungs
        self._generation, self._generation_size = 0, 0  # the newest generation, and its points so far
        self._random = RandomSearcher(dimensions, seed)

    @override
    def candidates(self, index: int) -> Iterator[Assignment]:
        if self._can_learn():
            for attempt in range(ATTEMPTS[self._kind]):
                yield self._draw(index, attempt)
        yield from self._random.candidates(index)

    @override
    def tell(
        self,
        index: int,
        assignment: Assignment,
        points: Sequence[Sequence[float]],
        violations: Sequence[Sequence[float]] = (),
    ) -> None:
        if not points:
            return
        parameters = {d.path: _to_parameter(d, assignment[d.path]) for d in self._dimensions}
        if self._kind == "nsga2" and self._generation_size >= self._population:
            self._generation, self._generation_size = self._generation + 1, 0
        attributes = {generation_key(): self._generation} if self._kind == "nsga2" else {}
        study = self.study()
        for rung, point in enumerate(points):
            distances = enumerate(violations[rung]) if violations else ()
            study.add_trial(
                optuna.trial.create_trial(
                    params=parameters,
                    distributions=self._distributions,
                    values=list(point),
                    system_attrs=dict(attributes),  # a copy: Optuna writes to it
                    constraints={str(number): distance for number, distance in distances},
                )
            )
        self._trial_count += 1
        self._generation_size += len(points)

    def study(self) -> optuna.Study:
        """Return a new study object over all results told so far. It is not kept: a study caches what it has read."""
        return optuna.load_study(study_name=_STUDY_NAME, storage=self._storage, sampler=self._sampler(0, 0))

    def _can_learn(self) -> bool:
        """Whether the first generation is complete; until then, proposals are random."""
        if self._kind == "tpe":
            return self._trial_count >= self._population
        return self._generation > 0 or self._generation_size >= self._population

    def _draw(self, index: int, attempt: int) -> Assignment:
        """Draw one candidate from the sampler. Nothing is added to the study: it holds results only."""
        sampler = self._sampler(index, attempt)
        attributes = {}
        if isinstance(sampler, NSGAIISampler):
            generation = self._generation + (self._generation_size >= self._population)
            attributes = {generation_key(): generation}
            self._choose_parents(sampler, generation)
        study = self.study()
        trial = optuna.trial.create_trial(state=TrialState.RUNNING, system_attrs=attributes)
        space = sampler.infer_relative_search_space(study, trial)
        drawn = sampler.sample_relative(study, trial, space)
        for name, distribution in self._distributions.items():
            if name not in drawn and not distribution.single():
                drawn[name] = sampler.sample_independent(study, trial, name, distribution)
        return {d.path: _from_parameter(d, drawn.get(d.path, 0)) for d in self._dimensions}

    def _choose_parents(self, sampler: NSGAIISampler, newest: int) -> None:
        """Have Optuna choose and store the parents of every generation, oldest first.

        Stored parents are read back in the order of the study, newly chosen ones are not: without this, a rebuilt
        study would draw different candidates.
        """
        study = self.study()
        for generation in range(1, newest + 1):
            sampler.get_parent_population(study, generation)

    def _sampler(self, index: int, attempt: int) -> BaseSampler:
        seed = int(np.random.SeedSequence([self._seed, index, attempt]).generate_state(1)[0])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            if self._kind == "nsga2":
                return NSGAIISampler(population_size=self._population, seed=seed)
            return TPESampler(n_startup_trials=self._population, multivariate=False, seed=seed)


def _distribution(dimension: Dimension) -> BaseDistribution:
    """Return the distribution of a dimension's parameter, see ``_to_parameter``."""
    if isinstance(dimension, Values):
        if dimension.ordered:
            return IntDistribution(0, dimension.size - 1)
        return CategoricalDistribution(list(range(dimension.size)))
    if dimension.integer and dimension.log:
        return IntDistribution(int(dimension.low), int(dimension.high), log=True)
    if dimension.size is not None:
        return IntDistribution(0, dimension.size - 1)
    return FloatDistribution(dimension.low, dimension.high, log=dimension.log)


def _to_parameter(dimension: Dimension, value: FieldValue) -> float:
    """Return a swept value as a parameter of the study: its index where values are enumerable, else the value."""
    if isinstance(dimension, Values):
        return [as_text(choice) for choice in dimension.choices].index(as_text(value))
    assert isinstance(value, int | float), "a range holds numbers"
    return value if dimension.step is None else round((value - dimension.low) / dimension.step)


def _from_parameter(dimension: Dimension, parameter: float) -> FieldValue:
    """Return the swept value of a parameter: the inverse of ``_to_parameter``."""
    return parameter if dimension.size is None else dimension.value(int(parameter))
