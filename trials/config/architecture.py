"""The field ``search.genotype``: an architecture by name, as text, or random."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import BeforeValidator

from results.errors import nearest, shown
from search_space.genotype import Genotype, GenotypeError
from search_space.published import PUBLISHED

RANDOM = "random"
"""The architecture that the seed of the trial draws."""


def genotype_of(architecture: str) -> Genotype | None:
    """Return the genotype of a valid architecture; None for a random one.

    Raises:
        GenotypeError: the text is no genotype.
    """
    if architecture == RANDOM:
        return None
    return Genotype.parse(PUBLISHED.get(architecture, architecture))


def canonical(value: object) -> object:
    """Return a name as it is, a genotype (published text, JSON, or the mapping of that) as the text of the papers.

    Raises:
        GenotypeError: it is none of these.
    """
    if isinstance(value, Mapping):
        return str(Genotype.from_dict(value))
    if not isinstance(value, str) or value == RANDOM or value in PUBLISHED:
        return value
    if value.lstrip().startswith("{"):
        return str(Genotype.from_json(value))
    if "(" in value:
        return str(Genotype.parse(value))
    names = [RANDOM, *PUBLISHED]
    raise GenotypeError(
        f"`genotype` must be {', '.join(names)}, the text of a genotype, or a file with one, but got {shown(value)}"
        f"{nearest(value, names)}"
    )


Architecture = Annotated[
    str, BeforeValidator(canonical, json_schema_input_type=str | dict[str, list[object]])
]
