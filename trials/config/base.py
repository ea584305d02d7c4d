"""Base class and number types of the configuration."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, NonNegativeFloat


def _parse_number(value: object) -> object:
    """Convert numeric text to float: YAML 1.1 reads ``1e-6`` (no dot) as text. Other values are unchanged."""
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            return value
    return value


MAX_COUNT = 2**31 - 1
"""The largest count: what a column of 32 bits holds."""

Count = Annotated[int, Field(gt=0, le=MAX_COUNT)]
CountOrZero = Annotated[int, Field(ge=0, le=MAX_COUNT)]
NonNegative = Annotated[NonNegativeFloat, BeforeValidator(_parse_number)]
Positive = Annotated[float, Field(gt=0), BeforeValidator(_parse_number)]
Fraction01 = Annotated[float, Field(ge=0, le=1), BeforeValidator(_parse_number)]
BelowOne = Annotated[float, Field(ge=0, lt=1), BeforeValidator(_parse_number)]


class Config(BaseModel):
    """Base of all blocks: immutable, keyword-only, finite numbers; unknown fields are errors."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        validate_default=True,
        use_attribute_docstrings=True,
        allow_inf_nan=False,
    )
