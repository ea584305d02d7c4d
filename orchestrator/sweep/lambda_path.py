"""Fine-tuning in a sweep: the lambda path, and blocks that would change nothing.

On a path, one network is fine-tuned at a rising lambda. Each trial is one lambda of ``finetune.regularization``, and
starts at the network of the next smaller one.
"""

from __future__ import annotations

from collections.abc import Sequence

from orchestrator.sweep.dimensions import Dimension, Values
from results.errors import shown
from trials.config import FinetuneConfig, TrialConfig

LAMBDA = "finetune.regularization"
"""The swept field of a path."""


def filled_in(config: TrialConfig, dimensions: Sequence[Dimension]) -> TrialConfig:
    """Return ``config`` with its ``finetune.path``: all swept values of lambda that are smaller than its own."""
    own = config.finetune.regularization
    if config.finetune.start != "previous" or own is None:
        return config
    smaller = sorted(value for value in _values(dimensions) if value < own)
    return config.model_copy(update={"finetune": config.finetune.model_copy(update={"path": tuple(smaller)})})


def faults(base: TrialConfig, dimensions: Sequence[Dimension]) -> list[str]:
    """Return one line for each reason why the block ``finetune`` of a sweep cannot mean what it says."""
    block, found = base.finetune, []
    swept = [path for dimension in dimensions for path in dimension.paths if path.startswith("finetune.")]
    if block.start == "previous" and not _values(dimensions):
        got = "something else" if LAMBDA in swept else "nothing"
        found.append(
            f"`finetune.from: previous` needs `sweep.{LAMBDA}` to be a list of numbers, but got {got}"
        )
    if block.start == "previous" and block.path:
        found.append(f"`finetune.path` is filled in by `from: previous`, but got {shown(list(block.path))}")
    if not block.epochs and "finetune.epochs" not in swept:
        idle = [
            *swept,
            *(f"finetune.{_written(name)}" for name in FinetuneConfig.model_fields if _is_set(block, name)),
        ]
        found += [
            f"`{name}` has no effect without fine-tuning: `finetune.epochs` must be at least 1"
            for name in idle
        ]
    return found


def _written(name: str) -> str:
    return "from" if name == "start" else name


def _is_set(block: FinetuneConfig, name: str) -> bool:
    return getattr(block, name) != FinetuneConfig.model_fields[name].default


def _values(dimensions: Sequence[Dimension]) -> list[float]:
    """Return the values of lambda that are swept as a list; none if they are not."""
    for dimension in dimensions:
        if dimension.path == LAMBDA and isinstance(dimension, Values):
            numbers = [value for value in dimension.choices if isinstance(value, int | float)]
            return numbers if len(numbers) == len(dimension.choices) else []
    return []
