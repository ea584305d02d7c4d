"""The sections in words and tables: headline numbers, the front, failures, the sweep file."""

from __future__ import annotations

from typing import Any

import pandas as pd
import yaml

from results.pareto import choosing, pareto
from results.pareto.objectives import Objectives
from results.plots.style import NOT_MEASURED, name_of, number_text
from results.report.elements import Html, element, join, table
from results.report.material import Material
from results.report.page import Section

ROWS = 200
"""Rows that the page shows of a table; the rest is one command away."""
COLUMNS = (
    "accuracy", "macs", "effective_macs", "memory_bytes", "sparsity", "params", "output_node", "splitting",
    "regularization", "threshold", "weight_bits", "feature_map_bits", "codec",
)  # fmt: skip


def headline(material: Material) -> Section:
    """Return the numbers that matter."""
    entries = [
        _trials_entry(material.trials),
        ("points", f"{len(material.points):,}", _constraints_note(material)),
    ]
    if len(material.points):
        objectives = Objectives.of_sweep(material.directions)
        entries.append(("on the front", str(int(material.on_front.sum())), ", ".join(material.directions)))
        entries += [_best_entry(material, name, way) for name, way in material.directions.items()]
        entries += _knee_entry(material, objectives)
        volume = pareto.hypervolume_of(material.points, objectives, None)
        entries.append(("hypervolume", number_text(volume), "up to the worst value of each objective"))
    cells = (
        element("div", element("dt", name), element("dd", value, *([element("small", note)] if note else [])))
        for name, value, note in entries
    )
    return Section("headline", "In short", [element("dl", *cells, class_="numbers")])


def front_table(material: Material) -> Section:
    """Return the front as a table, with the command that exports each point."""
    title, front = "Front as a table", material.front
    if front.empty:
        return Section("table", title, [element("p", "There is no point yet.", class_="note")])
    columns = [name for name in dict.fromkeys([*material.directions, *COLUMNS]) if name in front.columns]
    rows = [
        [element("code", row["label"]), *(number_text(row[name], name) for name in columns),
         element("code", material.export(row["label"]))]
        for row in front.head(ROWS).to_dict("records")
    ]  # fmt: skip
    numeric = [
        place for place, name in enumerate(columns, 1) if pd.api.types.is_numeric_dtype(front[name].dtype)
    ]
    caption = f"The {len(rows)} points on the front of {', '.join(material.directions)}, best first."
    if len(front) > ROWS:
        caption = (
            f"The first {ROWS} of {len(front)} points on the front; all: "
            + f"shrinksweep front {material.place} --format csv"
        )
    head = ["point", *map(name_of, columns), "command"]
    return Section("table", title, [table(head, rows, caption=caption, numeric=numeric)])


def failures(material: Material) -> Section:
    """Return what went wrong: attempts that failed, with reasons, and files that cannot be read."""
    trials = material.trials[material.trials["attempts_failed"] > 0]
    parts: list[Html] = []
    if len(trials):
        rows = [
            [str(row["trial_index"]), row["trial_key"], str(row["state"]), _reasons(row["failures"])]
            for row in trials.head(ROWS).to_dict("records")
        ]
        failed = int((trials["state"] == "failed").sum())
        caption = f"{len(trials)} trials with failed attempts; {failed} given up."
        parts.append(table(["trial", "key", "state", "reasons"], rows, caption=caption, numeric=[0]))
    if material.problems:
        files = [[problem.path, problem.reason] for problem in material.problems[:ROWS]]
        caption = f"{len(material.problems)} files that could not be read; they are left out of this page."
        parts.append(table(["file", "reason"], files, caption=caption))
    return Section(
        "failures", "Failures", parts or [element("p", "No attempt failed, and every file can be read.")]
    )


def sweep_file(material: Material) -> Section:
    """Return the sweep as validated, and the versions of what ran it."""
    parts: list[str] = []
    for directory in material.run.directories:
        sweep, versions = directory.read_sweep(), directory.read_versions()
        text = yaml.safe_dump(sweep, sort_keys=False, allow_unicode=True) if sweep else "no sweep was stored"
        shown = ", ".join(f"{name} {version}" for name, version in versions.items())
        parts.append(element("p", element("code", directory.uri), f": {shown or 'no versions were stored'}"))
        parts.append(element("details", element("summary", "The sweep file"), element("pre", text)))
    return Section("sweep", "Sweep and versions", parts)


def _constraints_note(material: Material) -> str:
    constraints = " and ".join(map(str, material.run.constraints()))
    return f"that keep {constraints}; {material.broken} more break it" if constraints else ""


def _trials_entry(trials: pd.DataFrame) -> tuple[str, str, str]:
    counts = trials["state"].astype(str).value_counts()
    states = ", ".join(f"{count} {state}" for state, count in counts.items() if state != "finished")
    waiting = counts.get("running", 0) + counts.get("proposed", 0)
    total = f"{len(trials)} so far" if waiting else str(len(trials))
    return "trials finished", f"{counts.get('finished', 0)} of {total}", states


def _best_entry(material: Material, name: str, way: str) -> tuple[str, str, str]:
    front = material.front
    most, least = ((name,), ()) if way == "max" else ((), (name,))
    if not front[name].notna().any():
        return f"best {name}", NOT_MEASURED, ""
    row = choosing.best(front, maximize=most, minimize=least)
    others = (f"{other} {number_text(row[other], other)}" for other in material.directions if other != name)
    return f"{'most' if way == 'max' else 'least'} {name}", number_text(row[name], name), ", ".join(others)


def _knee_entry(material: Material, objectives: Objectives) -> list[tuple[str, str, str]]:
    if not material.on_front.any():
        return []
    row: Any = choosing.knee_of(material.front, objectives)
    values = ", ".join(f"{name} {number_text(row[name], name)}" for name in objectives.names)
    return [("knee of the front", str(row["label"]), values)]


def _reasons(failures: Any) -> Html:
    found = [str(reason) for reason in (failures if failures is not None else [])]
    return join(
        element("div", f"{place}: {reason}", class_="reason") for place, reason in enumerate(found, 1)
    )
