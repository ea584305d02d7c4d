"""The questions of the study, answered as data frames.

Accuracies and costs are means over seeds, with the lowest and the highest seed; nothing is the best of several runs.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from examples.study.archive import Study
from orchestrator.schedulers.halving import Halving, Report, rules_of
from results import hypervolume, pareto_front
from results.pareto import pareto
from results.pareto.objectives import Objectives
from search_space import Genotype, Network
from trials import count_cost
from trials.config import TrialConfig, of_record
from trials.data.sources.sources import image_shape

RUNG = ["threshold_mode", "threshold", "weight_bits", "feature_map_bits"]
CLASSES = 10
NOTHING: Mapping[str, float] = {}
USEFUL: Mapping[str, float] = {"accuracy": 0.8}
"""A second reference point of the hypervolume: nobody wants a network of this data set that is below it."""
RANDOM_DRAWS = 30
"""Random choices of trials that a replay of halving is compared with."""
SPENT = ["search_s", "train_s", "ladder_s"]


def over_seeds(points: pd.DataFrame, by: Sequence[str], columns: Sequence[str]) -> pd.DataFrame:
    """Return the mean over seeds of ``columns`` for each value of ``by``.

    Columns that end in ``_low`` and ``_high`` hold the lowest and the highest seed. Points of one seed are averaged
    first, so that every seed counts once.
    """
    each = points.groupby([*by, "seed"], observed=True)[list(columns)].mean().reset_index()
    groups = each.groupby(list(by), observed=True)[list(columns)]
    low, high = groups.min().add_suffix("_low"), groups.max().add_suffix("_high")
    return pd.concat([groups.mean(), low, high], axis=1).reset_index()


def against(points: pd.DataFrame, by: str, base: object, held: Sequence[str], column: str) -> pd.DataFrame:
    """Return the difference of ``column`` to its value at ``base``, for each value of ``by`` with ``held`` equal.

    Columns: ``mean``, ``low`` and ``high`` over seeds.
    """
    wide = _by_value(points, by, held, column)
    return _of_seeds(wide.sub(wide[base], axis=0))


def ratios(points: pd.DataFrame, by: str, base: object, held: Sequence[str], column: str) -> pd.DataFrame:
    """Return the ratio of ``column`` to its value at ``base``, for each value of ``by`` with ``held`` equal.

    Columns: ``mean``, ``low`` and ``high`` over seeds.
    """
    wide = _by_value(points, by, held, column)
    return _of_seeds(wide.div(wide[base], axis=0))


def _by_value(points: pd.DataFrame, by: str, held: Sequence[str], column: str) -> pd.DataFrame:
    return points.pivot_table(index=[*held, "seed"], columns=by, values=column, observed=True)


def _of_seeds(changes: pd.DataFrame) -> pd.DataFrame:
    seeds = changes.groupby("seed").mean()
    return pd.DataFrame({"mean": seeds.mean(), "low": seeds.min(), "high": seeds.max()})


def plain(points: pd.DataFrame) -> pd.DataFrame:
    """Return the points at tau = 0 and the finest precision of weights and feature maps."""
    finest = points[["weight_bits", "feature_map_bits"]].max()
    rows = points[(points["threshold"] == 0)]
    for name, bits in finest.items():
        rows = rows[rows[name] == bits]
    return rows


def same_cells(study: Study) -> pd.DataFrame:
    """Return the cost of every reading with the cells that the search with ``concat`` found.

    Costs are counted, nothing is trained: macs, params and peak bytes in float32, one row a reading and seed.
    """
    points = plain(study.points).query("regularization == 0")
    readings = points[["reading", "output_node", "splitting"]].drop_duplicates()
    rows = []
    for found in points[points["reading"] == "concat"].to_dict("records"):
        config, genotype = (
            of_record(TrialConfig, json.loads(found["config"])),
            Genotype.from_json(found["genotype"]),
        )
        shape = image_shape(config.data)
        for one in readings.to_dict("records"):
            sizes = config.network_sizes()
            sizes["output_node"], sizes["splitting"] = one["output_node"], one["splitting"]
            network = Network(
                genotype, classes=CLASSES, image_channels=shape[0], space=config.space.name, **sizes
            )
            cost = count_cost(network, shape)
            costs = {"macs": cost.macs, "params": cost.params, "peak_bytes": cost.peak_bytes}
            rows.append({"reading": one["reading"], "seed": found["seed"]} | costs)
    return pd.DataFrame(rows)


def early_ranks(study: Study, column: str = "validation_accuracy") -> pd.DataFrame:
    """Return Spearman's rank correlation between the trials after each epoch and at the end, seed by seed.

    Trials are ranked by ``column`` of the progress after the epoch, and at the end by the test accuracy of the trained
    network at tau = 0 and full precision. During the search, trials that share it count as one, with their mean
    accuracy. Columns: ``step``, ``phase``, ``epoch``; ``mean``, ``low`` and ``high`` over seeds; ``within``: the mean
    over seeds and lambdas of the correlation among trials of one lambda (null in the search).
    """
    final = plain(study.points).set_index("trial_key")[["accuracy", "regularization"]]
    final = final.set_axis(["final", "weight"], axis=1)
    rows = study.epochs.join(final, on="trial_key", how="inner").dropna(subset=[column])
    found = []
    for (step, phase, epoch), part in rows.groupby(["step", "phase", "epoch"], observed=True):
        within = float("nan")
        if phase == "search":
            part = part.groupby(["seed", column])["final"].mean().reset_index()
        else:
            within = float(np.mean([_spearman(one, column) for _, one in part.groupby(["seed", "weight"])]))
        each = [_spearman(one, column) for _, one in part.groupby("seed")]
        found.append((step, phase, epoch, np.mean(each), min(each), max(each), within))
    return pd.DataFrame(found, columns=["step", "phase", "epoch", "mean", "low", "high", "within"])


def _spearman(rows: pd.DataFrame, column: str) -> float:
    return float(rows[column].corr(rows["final"], method="spearman"))


def spent(study: Study) -> pd.Series:
    """Return the seconds that the trials recorded, and those that they would take without sharing.

    ``search``, ``train``, ``ladder``: as run, each shared search once. ``search_alone``: every trial has a search of
    its own. ``train_each``: every rung of the ladder has a training of its own, at the recorded times.
    """
    trials = study.points.groupby("trial_key", observed=True)
    first, rungs = trials[["seed", "reading", *SPENT]].first(), trials.size()
    searches = first.groupby(["seed", "reading"], observed=True)["search_s"].first()
    return pd.Series(
        {
            "trials": len(first),
            "searches": len(searches),
            "points": int(rungs.sum()),
            "search": searches.sum(),
            "train": first["train_s"].sum(),
            "ladder": first["ladder_s"].sum(),
            "search_alone": first["search_s"].sum(),
            "train_each": (first["train_s"] * rungs).sum(),
        }
    )


def combinations(study: Study, objectives: dict[str, str]) -> pd.DataFrame:
    """Return the mean over seeds of every combination of swept values and rungs.

    ``on_front``: whether the mean is non-dominated. ``seeds``: the number of seeds whose own front holds the
    combination.
    """
    by = [*swept(study), *RUNG]
    points = study.points
    means = points.groupby(by, observed=True)[list(objectives)].mean().reset_index()
    maximize, minimize = sides(objectives)
    means["on_front"] = means.index.isin(pareto_front(means, maximize=maximize, minimize=minimize).index)
    own = pd.concat(
        [pareto_front(part, maximize=maximize, minimize=minimize) for _, part in points.groupby("seed")]
    )
    counts = own.groupby(by, observed=True)["seed"].nunique().rename("seeds")
    return means.merge(counts, how="left", left_on=by, right_index=True).fillna({"seeds": 0})


def swept(study: Study) -> list[str]:
    """Return the columns of the swept values, without the seed."""
    extra = [name for name in ("regularization", "feature_maps_taps") if name in study.points.columns]
    return ["reading", *extra]


def volumes(
    points: pd.DataFrame, by: str, objectives: dict[str, str], useful: Mapping[str, float] = NOTHING
) -> pd.DataFrame:
    """Return the hypervolume of each value of ``by`` as a fraction of that of all points, seed by seed.

    The reference point has the worst value of each objective among all points, or the value in ``useful``. Columns:
    ``mean``, ``low`` and ``high`` over seeds.
    """
    maximize, minimize = sides(objectives)
    worst = {name: points[name].min() for name in maximize} | {name: points[name].max() for name in minimize}
    reference = {**worst, **useful}
    shares = []
    for number, seed in points.groupby("seed"):
        whole = hypervolume(seed, maximize=maximize, minimize=minimize, reference=reference)
        for value, part in seed.groupby(by, observed=True):
            own = hypervolume(part, maximize=maximize, minimize=minimize, reference=reference)
            shares.append({"seed": number, "value": value, "share": own / whole})
    frame = pd.DataFrame(shares).pivot(index="seed", columns="value", values="share").fillna(0.0)
    return pd.DataFrame({"mean": frame.mean(), "low": frame.min(), "high": frame.max()})


def sides(objectives: dict[str, str]) -> tuple[list[str], list[str]]:
    """Return the maximized and the minimized objectives."""
    return [n for n, sense in objectives.items() if sense == "max"], [
        n for n, sense in objectives.items() if sense == "min"
    ]


def halved(study: Study, first: int, eta: int, directions: dict[str, str]) -> Replay:
    """Replay successive halving on the recorded epochs: what it would have saved and lost. It was not run.

    Trials are compared by columns of the progress (``directions``: max or min), in the order in which the epochs were
    recorded; a stopped trial reports nothing more.
    """
    points, epochs = study.points, study.epochs
    epochs = epochs[epochs["trial_key"].isin(points["trial_key"])]
    halving, stopped = Halving(rules_of(directions, first=first, eta=eta)), dict[int, int]()
    compared = epochs.dropna(subset=list(directions)).sort_values(["at", "trial_index"])
    for index, step, *values in compared[["trial_index", "step", *directions]].itertuples(index=False):
        if index not in stopped and not halving.reported(Report(index, step, tuple(values))):
            stopped[index] = step
    training = epochs[epochs["phase"] == "train"]
    unspent = training[training["step"] > training["trial_index"].map(stopped)]["epoch_s"].sum()
    ladders = points.groupby("trial_index")["ladder_s"].first()
    whole = spent(study)[["search", "train", "ladder"]].sum()
    left = points.loc[~points["trial_index"].isin(list(stopped)), "trial_index"].unique()
    return Replay(sorted(left), (unspent + ladders[list(stopped)].sum()) / whole)


@dataclass(frozen=True)
class Replay:
    """A replay of halving.

    Attributes:
        left: indices of the trials that were not stopped.
        saved: the saved fraction of all recorded seconds: searches, each once, trainings and ladders.
    """

    left: list[int]
    saved: float


@dataclass(frozen=True)
class Volumes:
    """The hypervolume that some trials of a study leave, as a fraction of that of all its trials, by seed.

    The reference point has the worst value of each objective among all points, or the value in ``useful``.
    """

    costs: dict[int, dict[int, NDArray[np.float64]]]
    """By seed and trial: the front of the trial, all objectives minimized, [n, objectives]."""
    reference: NDArray[np.float64]

    @classmethod
    def of(cls, study: Study, useful: Mapping[str, float] = NOTHING) -> Volumes:
        """Compute the front of every trial once: no other points add to a hypervolume."""
        objectives = Objectives.of_sweep(study.run.objectives())
        reference = {**pareto.worst(study.points, objectives), **useful}
        costs: dict[int, dict[int, NDArray[np.float64]]] = {}
        for (seed, trial), part in study.points.groupby(["seed", "trial_index"]):
            rows, _ = objectives.costs(part)
            costs.setdefault(int(str(seed)), {})[int(str(trial))] = rows[pareto.nondominated(rows)]
        return cls(costs, objectives.vector(reference, "reference") * objectives.signs())

    def left(self, trials: Collection[int]) -> dict[int, float]:
        """Return the fraction that these trials leave."""
        return {
            seed: self._volume(seed, trials) / self._volume(seed, fronts)
            for seed, fronts in self.costs.items()
        }

    def at_random(self, count: int) -> dict[int, float]:
        """Return the fraction that ``count`` trials chosen at random leave, the mean over seeded draws."""
        trials = sorted(trial for fronts in self.costs.values() for trial in fronts)
        random = np.random.default_rng(0)
        draws = [self.left(random.permutation(trials)[:count].tolist()) for _ in range(RANDOM_DRAWS)]
        return {seed: float(np.mean([draw[seed] for draw in draws])) for seed in self.costs}

    def _volume(self, seed: int, trials: Collection[int]) -> float:
        fronts = [front for trial, front in self.costs[seed].items() if trial in set(trials)]
        return pareto.volume(np.vstack(fronts), self.reference) if fronts else 0.0
