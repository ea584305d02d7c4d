"""The clock of the simulated sweeps: what a trial costs that ends early, goes on, or is never compared."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from benchmarks.simulate import EDGES, OPERATIONS, WORKERS, Bench, Curve, searcher_of, simulate
from orchestrator.schedulers.halving import Halving, Report, Rules


class Decided(Halving):
    """A halving that always decides the same."""

    def __init__(self, goes_on: bool) -> None:
        super().__init__(Rules(first=12, eta=3, signs=(1.0, 1.0)))
        self.goes_on = goes_on

    def reported(self, report: Report) -> bool:
        return self.goes_on


def curve(halving: Halving | None) -> Curve:
    rows = dict.fromkeys(itertools.product(OPERATIONS, repeat=len(EDGES)), 0)
    costs = np.array([[-90.0, 1.0]])
    bench = Bench(rows, costs, costs, reference=np.array([-60.0, 2.0]), best=30.0)
    return simulate(bench, searcher_of("random", 0), 450, halving)


@pytest.mark.parametrize(
    ("halving", "moments", "trials"),
    [
        (None, [200.0, 400.0], 3 * WORKERS),
        (Decided(goes_on=True), [212.0, 424.0], 3 * WORKERS),  # trained for 12 epochs, and then anew for 200
        (Decided(goes_on=False), [], (450 // 12 + 1) * WORKERS),
    ],
)
def test_a_trial_that_goes_on_is_trained_twice(
    halving: Halving | None, moments: list[float], trials: int
) -> None:
    found = curve(halving)
    assert found.times == [moment for moment in moments for _ in range(WORKERS)]
    assert set(found.values) <= {1.0}
    assert found.trials == trials
