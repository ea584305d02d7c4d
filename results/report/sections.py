"""The sections of the report, in order."""

from __future__ import annotations

from results.report.material import Material
from results.report.networks import networks_section
from results.report.page import Section
from results.report.pictures import attainment_section, front_section, fronts_section
from results.report.tables import failures, front_table, key_numbers, sweep_file
from results.report.trial_pictures import (
    curves_section,
    hypervolume_section,
    parallel_section,
    sparsity_section,
)


def sections(material: Material) -> list[Section]:
    """Return all sections of the report."""
    return [
        key_numbers(material),
        front_section(material),
        fronts_section(material),
        sparsity_section(material),
        networks_section(material),
        front_table(material),
        hypervolume_section(material),
        *attainment_section(material),
        parallel_section(material),
        curves_section(material),
        failures(material),
        sweep_file(material),
    ]
