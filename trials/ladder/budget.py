"""Thresholds by a budget: a share of the effective macs of the whole network, kept at the least error of its output.

As in TEAL (Liu et al., ICLR 2025), each tap has a few levels, shares of its features that are zero. Each level is
measured alone, in the whole network: the error that it makes in the logits, and the effective macs that it saves.
Errors of different taps are about orthogonal, so their squares add up, and the allocation with the least sum at given
macs follows from one price of a mac: each tap takes its steps in the order of error per mac saved. But taps do depend
on each other. So the result is compared with equal shares, and the better one is improved: in each round, smaller and
larger shares of each tap are measured on top of all others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from trials.cost.effective import EffectiveMacs
from trials.data.batches import Batch
from trials.device.compute import Compute
from trials.ladder.layer_error import read_taps
from trials.ladder.tap_filter import Range

LEVELS = (0.2, 0.35, 0.5, 0.65, 0.8, 0.9, 0.97)
"""Shares of the features of a tap that are zero."""
ROUNDS = 2
"""Most rounds of improvement."""
CHANGE = 0.1
"""Change of a share in a round."""
BISECTIONS = 8
"""Halvings of the last step, so that the budget is met."""

Shares = Mapping[str, float]
"""Share of zeros of each tap that is pruned."""


@dataclass(frozen=True)
class Measured:
    """Squared error of the logits, and effective macs; both summed over the images."""

    error: float
    macs: int


@dataclass(frozen=True)
class Step:
    """A larger share for a tap, at a price: squared error for each mac saved."""

    tap: str
    share: float
    price: float


Curve = Sequence[tuple[float, Measured]]
"""Shares of a tap in ascending order, and what they do; the first is where its steps begin."""


class Allocation:
    """Allocates the zeros of a network to its taps.

    Args:
        network: the trained network, in evaluation mode.
        ranges: what every map holds on the calibration images.
        batches: calibration images.
        compute: device and number format.
    """

    def __init__(
        self, network: nn.Module, ranges: Mapping[str, Range], batches: Sequence[Batch], compute: Compute
    ) -> None:
        self.network, self.ranges, self.batches, self.compute = network, ranges, batches, compute
        self.names = read_taps(network)
        self._logits: list[Tensor] = []
        self.dense = self.measure({})
        self.steps = steps_of({name: self._curve(name) for name in self.names})

    def thresholds(self, budget: float) -> dict[str, float]:
        """Return the thresholds that keep at most the share ``budget`` of the effective macs, and nearly all of it."""
        goal = budget * self.dense.macs
        greedy = self._spend({}, self.steps, goal)
        equal = self._between({}, dict.fromkeys(self.names, 1.0), goal)
        best = min((greedy, equal), key=self._error)
        for _ in range(ROUNDS):
            lowest = {name: max(share - CHANGE, 0.0) for name, share in best.items()}
            changed = self._spend(lowest, steps_of(self._neighbours(best)), goal)
            if self._error(changed) >= self._error(best):
                break
            best = changed
        return self._thresholds(best)

    @torch.no_grad()
    def measure(self, shares: Shares) -> Measured:
        """Return what the taps of ``shares`` do together; others are not pruned."""
        effective, error, is_first = EffectiveMacs(self.network), 0.0, not self._logits
        prune = {name: partial(_pruned, tau) for name, tau in self._thresholds(shares).items() if tau}
        with effective.counting(prune):
            for index, (images, _) in enumerate(self.batches):
                with self.compute.autocast():
                    logits = self.network(images).double()
                if is_first:
                    self._logits.append(logits)
                error += float((logits - self._logits[index]).square().sum())
        return Measured(error, effective.total())

    def _error(self, shares: Shares) -> float:
        return self.measure(shares).error

    def _thresholds(self, shares: Shares) -> dict[str, float]:
        return {name: self.ranges[name].histogram.threshold_of(share) for name, share in shares.items()}

    def _curve(self, name: str) -> Curve:
        """Return the levels of a tap that prune anything, each measured alone, after no pruning at all."""
        histogram = self.ranges[name].histogram
        levels = [share for share in LEVELS if histogram.threshold_of(share)]
        return [(0.0, self.dense), *((share, self.measure({name: share})) for share in levels)]

    def _neighbours(self, shares: Shares) -> dict[str, Curve]:
        """Return for each tap a smaller share, its own and a larger one, each measured on top of all other taps."""
        own = self.measure(shares)
        curves: dict[str, Curve] = {}
        for name in self.names:
            share = shares.get(name, 0.0)
            others = [max(share - CHANGE, 0.0), min(share + CHANGE, 1.0)]
            measured = [(other, self.measure({**shares, name: other})) for other in others if other != share]
            curves[name] = sorted([(share, own), *measured], key=lambda point: point[0])
        return curves

    def _spend(self, start: Shares, steps: Sequence[Step], goal: float) -> Shares:
        """Return the shares after the fewest of ``steps`` that leave at most ``goal`` macs; the last taken in part."""
        few, enough = 0, len(steps)
        while few < enough:
            middle = (few + enough) // 2
            if self.measure(_after(start, steps[:middle])).macs > goal:
                few = middle + 1
            else:
                enough = middle
        return self._between(_after(start, steps[: max(enough - 1, 0)]), _after(start, steps[:enough]), goal)

    def _between(self, few: Shares, many: Shares, goal: float) -> Shares:
        """Return shares between two allocations that leave at most ``goal`` macs, or else those of ``many``."""
        low, high = 0.0, 1.0
        for _ in range(BISECTIONS):
            middle = (low + high) / 2
            if self.measure(_mixed(few, many, middle)).macs > goal:
                low = middle
            else:
                high = middle
        return _mixed(few, many, high)


def steps_of(curves: Mapping[str, Curve]) -> list[Step]:
    """Return the steps of all taps in the order of their price.

    Of each tap only the lower convex hull of error over saved macs is used, so its prices rise from step to step.
    """
    steps: list[Step] = []
    for name, curve in curves.items():
        (_, at), rest = curve[0], list(curve[1:])
        while rest:
            prices = [_price(at, point) for _, point in rest]
            cheapest = min(prices)
            if cheapest == float("inf"):
                break
            index = len(prices) - 1 - prices[::-1].index(cheapest)
            share, at = rest[index]
            rest = rest[index + 1 :]
            steps.append(Step(name, share, cheapest))
    return sorted(steps, key=lambda step: step.price)


def _price(before: Measured, after: Measured) -> float:
    saved = before.macs - after.macs
    return (after.error - before.error) / saved if saved > 0 else float("inf")


def _after(start: Shares, steps: Sequence[Step]) -> Shares:
    return {**start, **{step.tap: step.share for step in steps}}


def _mixed(few: Shares, many: Shares, part: float) -> Shares:
    return {name: (1 - part) * few.get(name, 0.0) + part * many.get(name, 0.0) for name in {**few, **many}}


def _pruned(threshold: float, x: Tensor) -> Tensor:
    return torch.where(x.abs() < threshold, 0.0, x)
