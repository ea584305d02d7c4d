"""The private names of Optuna that this project uses: all of them. A test fails when one is gone."""

from __future__ import annotations

from optuna.samplers import NSGAIISampler

CHECKED_WITH = "5.0.0"
"""The version of Optuna that the names were checked with."""


def generation_key() -> str:
    """Return the system attribute of a trial in which NSGA-II stores and looks up its generation."""
    return str(NSGAIISampler._get_generation_key())
