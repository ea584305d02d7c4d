"""Every private name of Optuna that this project uses. A test says when one of them is gone."""

from __future__ import annotations

from optuna.samplers import NSGAIISampler

CHECKED_WITH = "5.0.0"
"""Version of Optuna that these names were checked with."""


def generation_key() -> str:
    """Return the system attribute in which NSGA-II looks for the generation of a trial."""
    return str(NSGAIISampler._get_generation_key())
