"""Tables of s: cost and accuracy of each reading."""

from __future__ import annotations

from examples.study import questions
from examples.study.archive import Study
from examples.study.cells import Row, change, span, table, thousands

COSTS = ("macs", "params", "memory_bytes")


def readings(study: Study) -> str:
    """Return cost and accuracy of each reading of s, at lambda = 0, tau = 0 and full precision."""
    points = questions.plain(study.points)
    points = points[points["regularization"] == 0]
    means = questions.over_seeds(points, ["reading"], ["accuracy", *COSTS])
    changes = questions.against(points, "reading", "concat", [], "accuracy")
    means = means.merge(changes, left_on="reading", right_index=True).sort_values("macs", ascending=False)
    rows = [
        [row["reading"], span(row, "accuracy"), change(row), *(thousands(row[name]) for name in COSTS)]
        for row in means.to_dict("records")
    ]
    head = ["reading", "accuracy, %", "against concat, points", "macs, k", "params, k", "memory, kB"]
    return table(head, rows)


def same_cells(study: Study) -> str:
    """Return the cost of each reading with the same cells, as a multiple of that of concat."""
    costs = questions.same_cells(study)
    ratios = [
        questions.ratios(costs, "reading", "concat", [], name)["mean"]
        for name in ("macs", "params", "peak_bytes")
    ]
    order = ratios[0].sort_values(ascending=False).index
    rows = [[name, *(f"{ratio[name]:.2f}" for ratio in ratios)] for name in order]
    return table(["reading", "macs, times", "params, times", "peak bytes, times"], rows)


def readings_everywhere(study: Study) -> str:
    """Return what each reading changes over all lambdas and rungs, and the hypervolume of its front."""
    points, held = study.points, ["regularization", *questions.RUNG]
    volumes, useful = (
        questions.volumes(points, "reading", study.run.objectives(), reference)
        for reference in (questions.NOTHING, questions.USEFUL)
    )
    accuracy = questions.against(points, "reading", "concat", held, "accuracy")
    costs = [
        questions.ratios(points, "reading", "concat", held, name)
        for name in ("effective_macs", "memory_bytes")
    ]
    volumes = volumes.sort_values("mean", ascending=False)
    rows = [
        [
            name,
            change(accuracy.loc[name]),
            *(_ratio(ratio.loc[name], 2) for ratio in costs),
            _ratio(volumes.loc[name], 3),
            _ratio(useful.loc[name], 3),
        ]
        for name in volumes.index.astype(str)
    ]
    head = [
        "reading",
        "accuracy, points",
        "effective macs, times",
        "memory, times",
        "share of the hypervolume",
        "above 80% accuracy",
    ]
    return table(head, rows)


def _ratio(row: Row, digits: int) -> str:
    return f"{row['mean']:.{digits}f} ({row['low']:.{digits}f} to {row['high']:.{digits}f})"
