"""The tables of ``docs/study.md`` by name, and how they are filled into the page."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from examples.study import effort_tables, front_tables, reading_tables, sparsity_tables
from examples.study.archive import Study

FASHION, ATTENTION = "fashion_mnist", "attention"
OF_FASHION: dict[str, Callable[[Study], str]] = {
    "readings": reading_tables.readings,
    "same_cells": reading_tables.same_cells,
    "readings_everywhere": reading_tables.readings_everywhere,
    "lambdas": sparsity_tables.lambdas,
    "thresholds": sparsity_tables.thresholds,
    "precisions": sparsity_tables.precisions,
    "front": front_tables.front,
    "front_counts": front_tables.front_counts,
    "early_ranks": effort_tables.early_ranks,
    "savings": effort_tables.savings,
    "halvings": effort_tables.halvings,
    "halving_choices": effort_tables.halving_choices,
}
OF_ATTENTION: dict[str, Callable[[Study], str]] = {
    "readings": reading_tables.readings,
    "lambdas": sparsity_tables.attention_lambdas,
    "maps": sparsity_tables.attention_maps,
    "thresholds": sparsity_tables.attention_thresholds,
    "savings": effort_tables.savings,
}
MARK = re.compile(r"(<!-- table: (\w+) -->\n)(.*?)(<!-- end -->)", flags=re.DOTALL)


def fill(page: str, tables: Mapping[str, str]) -> str:
    """Return the page with the current tables between their marks.

    Raises:
        KeyError: the page asks for a table that does not exist.
    """
    return MARK.sub(lambda found: f"{found[1]}\n{tables[found[2]]}\n\n{found[4]}", page)


def tables(studies: Mapping[str, Study]) -> dict[str, str]:
    """Return every table by its name."""
    fashion, attention = studies.get(FASHION), studies.get(ATTENTION)
    found: dict[str, str] = {}
    if fashion is not None:
        found |= {name: make(fashion) for name, make in OF_FASHION.items()}
    if attention is not None:
        found |= {f"attention_{name}": make(attention) for name, make in OF_ATTENTION.items()}
    return found
