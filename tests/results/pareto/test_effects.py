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


def test_the_confidence_interval_has_its_nominal_coverage() -> None:
    rng = np.random.default_rng(1)
    hits = 0
    for _ in range(200):
        found = effect(
            designed(rng, 0.01), "splitting", objectives=["accuracy"], others=["threshold", "seed"]
        )
        hits += bool(found["low"][1] <= -0.02 <= found["high"][1])
    assert 0.85 < hits / 200 < 0.99  # with ten strata, the normal interval is slightly too short


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
