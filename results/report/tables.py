"""The sections with text and tables: key numbers, the front, failures, the sweep file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import pandas as pd
import yaml

from results.durations import format_duration
from results.pareto import choosing, pareto
from results.pareto.objectives import Objectives
from results.plots.style import NOT_MEASURED, name_of, number_text, unit_of
from results.report.elements import Html, copy_button, element, join, placeholder, table
from results.report.material import Material
from results.report.page import Section

MAX_ROWS = 200
"""Most rows of a table on the page."""
COLUMNS = (
    "accuracy", "test_accuracy", "macs", "effective_macs", "memory_bytes", "sparsity", "params", "output_node",
    "splitting", "regularization", "threshold", "weight_bits", "feature_map_bits", "codec",
)  # fmt: skip
"""Columns of the table of the front, after the objectives."""

Entry = tuple[str, str, str]
"""A key number: name, value, note."""


def key_numbers(material: Material) -> Section:
    """Return the section with the key numbers: trials, points, best values, knee, hypervolume."""
    entries = [
        _trials_entry(material.trials),
        *_time_entries(material),
        ("points", f"{len(material.points):,}", _constraints_note(material)),
    ]
    if len(material.points):
        objectives = Objectives.of_sweep(material.directions)
        on_front = str(int(material.on_front.sum()))
        entries.append(("points on the Pareto front", on_front, f"of {', '.join(material.directions)}"))
        entries += [_best_entry(material, name, way) for name, way in material.directions.items()]
        entries += _knee_entry(material, objectives)
        entries.append(("accuracy measured on", f"{material.run.measured_on()} images", ""))
        for name, reference in material.references(objectives).items():
            volume = pareto.hypervolume_of(material.points, objectives, reference)
            shown = ", ".join(f"{column} {number_text(value, column)}" for column, value in reference.items())
            entries.append((name, number_text(volume), f"up to {shown}"))
    cells = (
        element("div", element("dt", name), element("dd", value, *([element("small", note)] if note else [])))
        for name, value, note in entries
    )
    remarks = [element("p", f"Note: {remark}.") for remark in material.run.data_remarks()]
    return Section("headline", "Key numbers", [element("dl", *cells, class_="numbers"), *remarks])


def front_table(material: Material) -> Section:
    """Return the section with the front as a table, and the command that exports each point."""
    title, front = "Front as a table", material.front
    if front.empty:
        return Section("table", title, [placeholder(material.no_front)])
    front, measured = front.assign(gap=front["accuracy"] - front["test_accuracy"]), [*material.directions]
    if front["gap"].notna().any():
        measured = [
            name
            for one in measured
            for name in ((one, "test_accuracy", "gap") if one == "accuracy" else (one,))
        ]
    columns = [name for name in dict.fromkeys([*measured, *COLUMNS]) if name in front.columns]
    columns = [name for name in columns if name != "test_accuracy" or front[name].notna().any()]
    records = front.head(MAX_ROWS).to_dict("records")
    rows = [
        [_point(row["label"], material), *(number_text(row[name], name) for name in columns)]
        for row in records
    ]
    values = [[row["label"], *(row[name] for name in columns)] for row in records]
    numeric = [
        index for index, name in enumerate(columns, 1) if pd.api.types.is_numeric_dtype(front[name].dtype)
    ]
    caption = (
        f"The {len(rows)} points on the Pareto front of {', '.join(material.directions)}, best first. A click on a "
        "heading sorts; the button beside a point copies the command that exports its network."
    )
    if len(front) > MAX_ROWS:
        command = f"shrinksweep front {material.run_argument} --format csv"
        caption = f"The first {MAX_ROWS} of {len(front)} points on the Pareto front. For all: {command}"
    head = ["point", *map(name_of, columns)]
    return Section("table", title, [table(head, rows, caption=caption, numeric=numeric, values=values)])


def _point(label: str, material: Material) -> Html:
    """Return the name of a point, and a button that copies the command that exports it."""
    return join([element("code", label), " ", copy_button(material.export_command(label))])


def failures(material: Material) -> Section:
    """Return the section with failed attempts and their reasons, and with unreadable files."""
    trials = material.trials[material.trials["attempts_failed"] > 0]
    parts: list[Html] = []
    if len(trials):
        rows = [
            [str(row["trial_index"]), row["trial_key"], str(row["state"]), _reasons(row["failures"])]
            for row in trials.head(MAX_ROWS).to_dict("records")
        ]
        failed = int((trials["state"] == "failed").sum())
        caption = f"{len(trials)} trials with failed attempts; {failed} of them failed for good."
        parts.append(table(["trial", "key", "state", "reasons"], rows, caption=caption, numeric=[0]))
    if material.problems:
        files = [[problem.path, problem.reason] for problem in material.problems[:MAX_ROWS]]
        caption = f"{len(material.problems)} files could not be read. Their data are missing from this page."
        parts.append(table(["file", "reason"], files, caption=caption))
    return Section(
        "failures", "Failures", parts or [element("p", "No attempt failed, and every file could be read.")]
    )


def sweep_file(material: Material) -> Section:
    """Return the section with the validated sweep file and the versions that ran it."""
    parts: list[str] = []
    for directory in material.run.directories:
        sweep, versions = directory.read_sweep(), directory.read_versions()
        text = (
            yaml.safe_dump(sweep, sort_keys=False, allow_unicode=True)
            if sweep
            else "no sweep file was stored"
        )
        parts.append(element("p", element("code", directory.uri), f": {_versions_text(versions)}"))
        parts.append(element("details", element("summary", "Sweep file"), element("pre", text)))
    return Section("sweep", "Sweep and versions", parts)


def _versions_text(versions: Mapping[str, object]) -> str:
    """Return the versions of the last launch, and of earlier ones if they were others."""
    now = ", ".join(f"{name} {value}" for name, value in versions.items() if name not in ("earlier", "until"))
    earlier = versions.get("earlier")
    before = [one for one in earlier if isinstance(one, Mapping)] if isinstance(earlier, list) else []
    texts = [now, *(f"until {one.get('until')}: {_versions_text(one)}" for one in before)]
    return "; ".join(filter(None, texts)) or "no versions were stored"


def _constraints_note(material: Material) -> str:
    constraints = " and ".join(map(str, material.run.constraints()))
    return f"that satisfy {constraints}; {material.infeasible} others do not" if constraints else ""


def _trials_entry(trials: pd.DataFrame) -> Entry:
    counts = trials["state"].astype(str).value_counts()
    states = ", ".join(f"{count} {state}" for state, count in counts.items() if state != "finished")
    unfinished = counts.get("running", 0) + counts.get("proposed", 0)
    total = f"{len(trials)} so far" if unfinished else str(len(trials))
    return "trials finished", f"{counts.get('finished', 0)} of {total}", states


def _time_entries(material: Material) -> list[Entry]:
    """Return how long the run took, from its first epoch to its last epoch or point, and when that was."""
    progress = material.progress
    if not len(progress):
        return []
    begun = (progress["at"] - pd.to_timedelta(progress["epoch_s"], unit="s")).min()
    ended = max([progress["at"].max(), *material.points["finished_at"].dropna()])
    computed = format_duration(float(progress["epoch_s"].sum()))
    span = f"{begun:%Y-%m-%d %H:%M} to {ended:%Y-%m-%d %H:%M} UTC; {computed} of search and training"
    return [("wall time", format_duration((ended - begun).total_seconds()), span)]


def _best_entry(material: Material, name: str, way: str) -> Entry:
    """Return the best value of an objective, with the other objectives of that point as the note."""
    front = material.front
    maximize, minimize = ((name,), ()) if way == "max" else ((), (name,))
    title = f"{'highest' if way == 'max' else 'lowest'} {name}"
    if not front[name].notna().any():
        return title, NOT_MEASURED, ""
    row = choosing.best(front, maximize=maximize, minimize=minimize)
    others = (f"{other} {number_text(row[other], other)}" for other in material.directions if other != name)
    unit = unit_of(name)
    value = [number_text(row[name], name), *([" ", element("span", unit, class_="unit")] if unit else [])]
    return title, join(value), ", ".join(others)


def _knee_entry(material: Material, objectives: Objectives) -> list[Entry]:
    if not material.on_front.any():
        return []
    row = choosing.knee_of(material.front, objectives)
    values = ", ".join(f"{name} {number_text(row[name], name)}" for name in objectives.names)
    return [("knee of the Pareto front", str(row["label"]), values)]


def _reasons(failures: Iterable[object] | None) -> Html:
    """Return the numbered reasons of the failed attempts."""
    reasons = [str(reason) for reason in (failures if failures is not None else [])]
    return join(
        element("div", f"{number}: {reason}", class_="reason") for number, reason in enumerate(reasons, 1)
    )
