from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest

from results import ResultsError, RunDirectory, UnknownColumnError, effect
from tests.results.test_run import fill


def designed(rng: np.random.Generator, noise: float = 0.0) -> pd.DataFrame:
    """A full factorial design: accuracy falls by 0.02 per doubling of s and by tau, and rises by 0.01 per seed."""
    cells = itertools.product([1, 2, 4], [0.0, 0.1], range(5))
    frame = pd.DataFrame(cells, columns=["splitting", "threshold", "seed"])
    frame["accuracy"] = (
        0.9 - 0.02 * np.log2(frame["splitting"]) - frame["threshold"] + 0.01 * frame["seed"]
    ) + noise * rng.standard_normal(len(frame))
    return frame


def test_a_designed_effect_is_found_exactly() -> None:
    found = effect(
        designed(np.random.default_rng(0)), "splitting", objectives=["accuracy"], others=["threshold", "seed"]
    )
    assert found["splitting"].tolist() == [1, 2, 4]
    assert found["change"].tolist() == pytest.approx([0, -0.02, -0.04])
    assert found["strata"].tolist() == [10] * 3


def test_an_unbalanced_design_does_not_mislead() -> None:
    """The plain means favour s = 4, because it was mostly run at tau = 0; at equal tau it is worse."""
    frame = designed(np.random.default_rng(0))
    frame = frame[~((frame["splitting"] == 4) & (frame["threshold"] == 0.1) & (frame["seed"] > 0))]
    frame = frame[~((frame["splitting"] == 1) & (frame["threshold"] == 0.0) & (frame["seed"] > 0))]
    means = frame.groupby("splitting")["accuracy"].mean()
    assert means[4] > means[1]
    found = effect(frame, "splitting", objectives=["accuracy"], others=["threshold", "seed"])
    assert found["change"].tolist()[2] == pytest.approx(-0.04)


def without_an_effect(objectives: int) -> tuple[pd.DataFrame, list[str]]:
    """Networks of 5 seeds, 2 splittings and 2 lambdas at 6 rungs. Nothing depends on s, but networks of a seed, and
    even more the rungs of a network, resemble each other. Every objective is another sample of the same noise."""
    rng = np.random.default_rng(1)
    frame = pd.DataFrame(
        itertools.product(range(5), [1, 2], [0.0, 0.01], range(6)),
        columns=["seed", "splitting", "regularization", "threshold"],
    )
    of_search = rng.standard_normal((5 * 2, objectives)).repeat(12, axis=0)
    of_network = rng.standard_normal((5 * 2 * 2, objectives)).repeat(6, axis=0)
    noise = of_search + of_network + 0.2 * rng.standard_normal((len(frame), objectives))
    names = [f"accuracy{index}" for index in range(objectives)]
    return pd.concat([frame, pd.DataFrame(noise, columns=names)], axis=1), names


def false_positives(frame: pd.DataFrame, names: list[str], clusters: list[str] | None) -> float:
    found = effect(
        frame,
        "splitting",
        objectives=names,
        others=["seed", "regularization", "threshold"],
        clusters=clusters,
    )
    of_two = found[found["splitting"] == 2]
    assert of_two["strata"].unique().tolist() == [60]
    return float(((of_two["low"] > 0) | (of_two["high"] < 0)).mean())


def test_an_effect_that_is_none_is_found_in_five_of_a_hundred_experiments() -> None:
    frame, names = without_an_effect(4000)
    assert false_positives(frame, names, None) == pytest.approx(0.05, abs=0.01)
    every_rung = ["seed", "regularization", "threshold"]
    assert false_positives(frame, names[:500], every_rung) > 0.5, "rungs are not independent"


def test_an_interval_names_the_clusters_that_it_rests_on() -> None:
    frame = designed(np.random.default_rng(1), 0.01)
    found = effect(frame, "splitting", objectives=["accuracy"], others=["threshold", "seed"])
    assert found["clusters"].tolist() == [5] * 3
    one = effect(
        frame[frame["seed"] == 0], "splitting", objectives=["accuracy"], others=["threshold", "seed"]
    )
    assert one["clusters"].tolist() == [2] * 3
    alone = effect(frame, "splitting", objectives=["accuracy"], others=["threshold"], clusters=["codec"] * 0)
    assert alone["clusters"].tolist() == [1] * 3
    assert alone[["low", "high"]].isna().all(axis=None)


def test_many_seeds_are_not_cut_into_bins() -> None:
    frame = pd.DataFrame(itertools.product(range(12), [1, 2]), columns=["seed", "splitting"])
    found = effect(frame.assign(macs=frame["seed"]), "splitting", objectives=["macs"], others=["seed"])
    assert found["strata"].tolist() == found["clusters"].tolist() == [12, 12]


def test_a_sampled_factor_is_cut_into_bins() -> None:
    rng = np.random.default_rng(2)
    frame = pd.DataFrame(
        {"regularization": 10 ** rng.uniform(-6, -3, 400), "splitting": rng.choice([1, 2], 400)}
    )
    frame["sparsity"] = 0.5 + 0.1 * np.log10(frame["regularization"]) + 0.2 * (frame["splitting"] == 2)
    found = effect(frame, "regularization", objectives=["sparsity"], others=["splitting"])
    assert len(found) == 4
    assert found["change"].is_monotonic_increasing
    other = effect(frame, "splitting", objectives=["sparsity"], others=["regularization"])
    assert other["change"].tolist()[1] == pytest.approx(0.2, abs=0.05)
    assert other["strata"].tolist() == [4, 4]


def test_levels_without_a_common_stratum_have_no_effect() -> None:
    frame = pd.DataFrame({"splitting": [1, 2], "seed": [0, 1], "macs": [10, 5]})
    found = effect(frame, "splitting", objectives=["macs"], others=["seed"])
    assert found["strata"].tolist() == [1, 0]
    assert np.isnan(found["change"][1])
    assert found["mean"].tolist() == [10, 5]


def test_text_is_a_factor_and_missing_values_are_left_out() -> None:
    frame = pd.DataFrame(
        {"codec": pd.Categorical(["b", "a", "b", "a"]), "seed": [0, 0, 1, 1], "bytes": [4, 6, np.nan, 8.0]}
    )
    found = effect(frame, "codec", objectives=["bytes"], others=["seed"])
    assert found["codec"].tolist() == ["a", "b"]
    assert found["change"].tolist() == [0, -2]
    assert found["strata"].tolist() == [2, 1]
    assert np.isnan(found["low"][1])


def test_unknown_and_non_numeric_columns_are_errors() -> None:
    frame = designed(np.random.default_rng(0)).assign(codec="a")
    with pytest.raises(UnknownColumnError, match="`spliting`"):
        effect(frame, "spliting", objectives=["accuracy"])
    with pytest.raises(ResultsError, match="must hold numbers, but `codec`"):
        effect(frame, "splitting", objectives=["codec"])


def test_the_effects_of_a_run(local: RunDirectory) -> None:
    run = fill(local)
    tau = run.effect("ladder.threshold")
    assert tau["objective"].tolist() == ["accuracy"] * 2 + ["macs"] * 2
    assert tau["change"].tolist() == pytest.approx([0, -0.05, 0, 0])
    assert run.effect("space.splitting", "macs")["splitting"].tolist() == [1, 2, 4]
    assert run.effect("train.momentum", "macs")["strata"].tolist() == [6]
    assert run.effect("threshold", where="macs < 0").empty
    assert tau["clusters"].tolist() == [6] * 4  # a single seed: over the trained networks
