"""What all blocks of a sweep file share: the base class, and numbers as YAML 1.1 writes them."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, NonNegativeFloat


def _number(value: Any) -> Any:
    """YAML 1.1 reads ``1e-6`` (no dot) as text: take it as the number it is."""
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            return value
    return value


Real = Annotated[float, BeforeValidator(_number)]
NonNegative = Annotated[NonNegativeFloat, BeforeValidator(_number)]
Positive = Annotated[float, Field(gt=0), BeforeValidator(_number)]
Fraction01 = Annotated[float, Field(ge=0, le=1), BeforeValidator(_number)]
BelowOne = Annotated[float, Field(ge=0, lt=1), BeforeValidator(_number)]


class Config(BaseModel):
    """Immutable, keyword-only, and unknown keys are errors."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, validate_default=True, use_attribute_docstrings=True
    )
