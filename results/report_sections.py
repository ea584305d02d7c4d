"""The sections of the report, in order."""

from __future__ import annotations

from results.report_material import Material
from results.report_page import Section
from results.report_pictures import front_section
from results.report_tables import failures, front_table, headline, sweep_file


def sections(material: Material) -> list[Section]:
    """Return what the page shows of a run."""
    return [
        headline(material),
        front_section(material),
        front_table(material),
        failures(material),
        sweep_file(material),
    ]
