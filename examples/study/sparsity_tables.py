"""Tables of lambda, tau and precision."""

from __future__ import annotations

import pandas as pd

from examples.study.archive import Study
from examples.study.cells import MEASURED, along, level_rows, table


def lambdas(study: Study) -> str:
    """Return the effect of lambda at tau = 0, weights and maps at 8 bits."""
    points = study.points
    points = points[
        (points["threshold"] == 0) & (points["weight_bits"] == 8) & (points["feature_map_bits"] == 8)
    ]
    return along(points, "regularization", "lambda", ["reading"])


def thresholds(study: Study) -> str:
    """Return the effect of tau at 8 bits, for each lambda."""
    points = study.points
    points = points[(points["weight_bits"] == 8) & (points["feature_map_bits"] == 8)]
    parts = []
    for weight, part in points.groupby("regularization"):
        parts.append((f"{weight:g}", level_rows(part, "threshold", ["reading"])))
    rows = [[weight, *row] for weight, found in parts for row in found]
    return table(["lambda", "tau", *MEASURED], rows)


def precisions(study: Study) -> str:
    """Return the effect of the precisions at tau = 0, over all lambdas."""
    points = study.points[study.points["threshold"] == 0]
    points = points.assign(
        bits=[f"{w} / {f}" for w, f in zip(points["weight_bits"], points["feature_map_bits"], strict=True)]
    )
    return along(points, "bits", "bits of weights / maps", ["reading", "regularization"], base="32 / 32")


def attention_lambdas(study: Study) -> str:
    """Return the effect of lambda on all maps, and on all but queries and keys, at tau = 0."""
    return along(_with_terms(study), "term", "lambda and its maps", ["reading"], base="0")


def attention_maps(study: Study) -> str:
    """Return the bits of a coded feature of each kind of map, for each lambda and set of regularized maps."""
    points = _with_terms(study).merge(study.maps, on="point")
    sums = points.groupby(["term", "kind"])[["elements", "bytes"]].sum()
    bits = (8 * sums["bytes"] / sums["elements"]).unstack("term")
    share = points.groupby("kind")["elements"].sum() / points["elements"].sum()
    terms = sorted(bits.columns, key=lambda term: (term != "0", term))
    rows = [
        [kind, f"{100 * share[kind]:.0f}", *(f"{bits.loc[kind, term]:.2f}" for term in terms)]
        for kind in share.sort_values(ascending=False).index
    ]
    return table(["map", "share of features, %", *(f"lambda {term}" for term in terms)], rows)


def _with_terms(study: Study) -> pd.DataFrame:
    points = study.points[study.points["threshold"] == 0]
    kind = ["all" if taps == '["*"]' else "no queries, keys" for taps in points["feature_maps_taps"]]
    return points.assign(
        term=[
            f"{weight:g}, {name}" if weight else "0"
            for weight, name in zip(points["regularization"], kind, strict=True)
        ]
    )


def attention_thresholds(study: Study) -> str:
    """Return the effect of tau in both modes, at lambda = 0."""
    points = study.points[study.points["regularization"] == 0]
    points = points.assign(
        tau=[
            f"{tau:g} {mode}" if tau else "0"
            for tau, mode in zip(points["threshold"], points["threshold_mode"], strict=True)
        ]
    )
    return along(points, "tau", "tau", ["reading"], base="0")
