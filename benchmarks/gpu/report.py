"""The report of a run: figures in the form of all benchmarks, and tables of the sections, the checks and the rest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from benchmarks import machine
from benchmarks.gpu.day import Check, Found, nothing_found
from benchmarks.gpu.figures import FIGURES, figures
from benchmarks.gpu.plan import Section
from benchmarks.gpu.process import Outcome
from benchmarks.harness import Report, Table, TableJson
from benchmarks.machine import Machine

REHEARSAL = "a rehearsal: its numbers mean nothing"
HOLDS = {True: "yes", False: "NO", None: "-"}


@dataclass(frozen=True)
class Ran:
    """A section, how it ended, and what it found."""

    section: Section
    outcome: Outcome
    found: Found

    @property
    def state(self) -> str:
        """The state of the outcome; ``partly`` if parts of a section that was done have failed."""
        return "partly" if self.outcome.state == "done" and self.found["failures"] else self.outcome.state

    @property
    def reason(self) -> str:
        """What went wrong, in one line; empty if nothing did."""
        return self.outcome.reason or "; ".join(self.found["failures"])


def skipped(section: Section, left_s: float) -> Ran:
    """Return the record of a section for which no time was left."""
    return Ran(
        section, Outcome("skipped", 0.0, f"only {max(left_s, 0):.0f} s were left", ()), nothing_found()
    )


def build(
    ran: Sequence[Ran],
    host: Machine,
    configuration: Mapping[str, object],
    rehearsal: bool,
    commit: str | None,
) -> Report:
    """Return the report of the sections so far.

    Args:
        ran: the sections.
        host: the machine, without its GPU: only a section may touch that.
        configuration: of the run.
        rehearsal: the figures get no values.
        commit: of the code, where the checkout does not know it.
    """
    values = {} if rehearsal else values_of(ran)
    facts = facts_of(ran)
    host = {**host, "gpu": facts.get("gpu")}
    known = {name: text for name, text in facts.items() if name not in ("gpu", "device")}
    versions = machine.versions() | known | ({"commit": commit} if commit else {})
    made = figures(values)
    missing = [figure.name for figure in made if figure.value is None]
    tables = [_sections(ran), _checks(ran), _not_measured(missing, ran, rehearsal), _last_lines(ran)]
    found: list[TableJson] = [
        {"title": f"{one.section.name}: {table['title']}", "rows": table["rows"]}
        for one in ran
        for table in one.found["tables"]
    ]
    return {
        "benchmark": "gpu_day",
        "machine": host,
        "versions": versions,
        "configuration": dict(configuration),
        "figures": [figure.to_json() for figure in made],
        "tables": [*(table.to_json() for table in tables if table.rows), *found],
    }


def values_of(ran: Sequence[Ran]) -> dict[str, float]:
    """Return the figures that were measured so far."""
    return {name: value for one in ran for name, value in one.found["figures"].items()}


def facts_of(ran: Sequence[Ran]) -> dict[str, str]:
    """Return the names and versions that were found so far."""
    return {name: value for one in ran for name, value in one.found["facts"].items()}


def checks(ran: Sequence[Ran]) -> list[Check]:
    """Return the checks of all sections."""
    return [check for one in ran for check in one.found["checks"]]


def went_well(ran: Sequence[Ran]) -> bool:
    """Return whether every section was done whole, and no check has failed."""
    return all(one.state == "done" for one in ran) and all(c["holds"] is not False for c in checks(ran))


def _sections(ran: Sequence[Ran]) -> Table:
    rows = [(one.section.name, one.state, round(one.outcome.seconds, 1), one.reason) for one in ran]
    return Table("sections", ("section", "state", "s", "what went wrong"), rows)


def _checks(ran: Sequence[Ran]) -> Table:
    rows = [
        (one.section.name, check["check"], HOLDS[check["holds"]], check["detail"])
        for one in ran
        for check in one.found["checks"]
    ]
    return Table("checks", ("section", "check", "holds", "detail"), rows)


def _last_lines(ran: Sequence[Ran]) -> Table:
    rows = [(one.section.name, line) for one in ran for line in one.outcome.last_lines]
    return Table("last lines of sections that failed", ("section", "output"), rows)


def _not_measured(missing: Sequence[str], ran: Sequence[Ran], rehearsal: bool) -> Table:
    rows = [(name, _why(name, ran)) for name in missing]
    if rehearsal:
        known = {name for one in ran for name in one.found["reasons"]}
        rows = [(name, why) for name, why in rows if name in known] + [("all others", REHEARSAL)]
    return Table("figures that were not measured", ("figure", "why"), rows)


def _why(name: str, ran: Sequence[Ran]) -> str:
    section = next(declared.section for declared in FIGURES if declared.name == name)
    one = next((one for one in ran if one.section.name == section), None)
    if one is None:
        return f"section {section} has not run"
    if name in one.found["reasons"]:
        return one.found["reasons"][name]
    return f"section {section}: {one.state}{f', {one.reason}' if one.reason else ''}"
