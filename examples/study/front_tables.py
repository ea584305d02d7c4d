"""Tables of the front: the non-dominated combinations."""

from __future__ import annotations

from examples.study import questions
from examples.study.archive import Study
from examples.study.cells import table, thousands
from results import pareto_front


def front(study: Study, rows: int = 12) -> str:
    """Return the front of the means over seeds.

    It is thinned: accuracy in steps of half a point, costs in steps of a twentieth of the largest.
    """
    objectives = study.run.objectives()
    means = questions.combinations(study, objectives)
    maximize, minimize = questions.sides(objectives)
    widths = {"accuracy": 0.005} | {name: means[name].max() / 20 for name in minimize}
    best = pareto_front(means, maximize=maximize, minimize=minimize, epsilon=widths)
    best = best.sort_values("accuracy", ascending=False).head(rows)
    cells = [
        [
            row["reading"],
            f"{row['regularization']:g}",
            f"{row['threshold']:g}",
            f"{row['weight_bits']} / {row['feature_map_bits']}",
            f"{100 * row['accuracy']:.1f}",
            thousands(row["effective_macs"]),
            thousands(row["memory_bytes"]),
            f"{row['seeds']:.0f}",
        ]
        for row in best.to_dict("records")
    ]
    head = [
        "reading",
        "lambda",
        "tau",
        "bits of weights / maps",
        "accuracy, %",
        "effective macs, k",
        "memory, kB",
        "seeds",
    ]
    return table(head, cells)


def front_counts(study: Study) -> str:
    """Return how many of the combinations with each value are on the front of the means over seeds."""
    means = questions.combinations(study, study.run.objectives())
    rows = []
    for column in ["reading", "regularization", "threshold", "weight_bits", "feature_map_bits"]:
        for value, part in means.groupby(column, observed=True):
            name = {"regularization": "lambda", "threshold": "tau"}.get(column, column.replace("_", " "))
            shown = f"{value:g}" if isinstance(value, float) else str(value)
            rows.append(
                [
                    name,
                    shown,
                    str(int(part["on_front"].sum())),
                    str(len(part)),
                    f"{100 * part['on_front'].mean():.0f} %",
                ]
            )
    return table(["", "value", "on the front", "of", "share"], rows)
