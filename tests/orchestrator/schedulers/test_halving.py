"""Successive halving: pure decisions, mixed directions, and the same result on every replay."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.schedulers.halving import Halving, Report, Rules, decide, order, replay

ONE = Rules(first=1, eta=2, signs=(-1.0,))
TWO = Rules(first=1, eta=3, signs=(-1.0, 1.0))


def best_first(rules: Rules, reports: list[Report]) -> list[int]:
    places = order(rules, reports)
    return sorted(range(len(reports)), key=lambda index: places[index])


def log(count: int = 60, seed: int = 0) -> list[Report]:
    numbers = random.Random(seed)
    return [
        Report(index, epoch, (numbers.random(), numbers.random() * 1e9))
        for index in range(count)
        for epoch in (1, 2, 3)
    ]


def test_each_level_has_eta_times_the_epochs_of_the_one_before() -> None:
    rules = Rules(first=2, eta=3, signs=(1.0,))
    assert [rules.level(epoch) for epoch in (1, 2, 3, 6, 12, 18)] == [None, 0, None, 1, None, 2]


def test_the_better_half_continues() -> None:
    values = [0.5, 0.9, 0.1, 0.95, 0.2]
    decisions = replay(ONE, [Report(i, 1, (v,)) for i, v in enumerate(values)])
    assert decisions == [True, True, False, True, False]


def test_directions_may_be_mixed() -> None:
    reports = [Report(0, 1, (0.9, 5.0)), Report(1, 1, (0.5, 9.0)), Report(2, 1, (0.8, 1.0))]
    assert best_first(TWO, reports)[-1] == 1
    flipped = Rules(first=1, eta=3, signs=(1.0, -1.0))
    assert best_first(flipped, reports)[0] == 1


def test_a_dominated_trial_never_beats_the_one_that_dominates_it() -> None:
    reports = log()
    in_order = best_first(TWO, reports)
    position = {report: in_order.index(i) for i, report in enumerate(reports)}
    for a in reports[:40]:
        for b in reports[:40]:
            if a.values[0] > b.values[0] and a.values[1] < b.values[1]:
                assert position[a] < position[b]


def test_the_order_does_not_depend_on_the_units() -> None:
    reports = log()
    scaled = [Report(r.index, r.epoch, (r.values[0] * 4, r.values[1] / 2**20)) for r in reports]
    assert best_first(TWO, reports) == best_first(TWO, scaled)


VALUES = st.tuples(st.sampled_from([0.1, 0.5, 0.5000001, 0.9, float("nan")]), st.floats(0, 1e9))
"""Few values of the first objective, so that there are ties."""


@st.composite
def logs(draw: st.DrawFn) -> list[Report]:
    """Return reports of several trials as they may arrive: each trial's epochs in order, the trials interleaved."""
    lengths = draw(st.lists(st.integers(1, 9), min_size=1, max_size=12))
    arrivals = draw(st.permutations([index for index, epochs in enumerate(lengths) for _ in range(epochs)]))
    done = dict.fromkeys(range(len(lengths)), 0)
    reports = []
    for index in arrivals:
        done[index] += 1
        reports.append(Report(index, done[index], draw(VALUES)))
    return reports


@given(logs(), st.integers(2, 4), st.data())
def test_a_log_replayed_from_any_report_on_gives_the_same_decisions(
    log: list[Report], eta: int, data: st.DataObject
) -> None:
    rules = Rules(first=1, eta=eta, signs=(-1.0, 1.0))
    decisions = replay(rules, log)
    known = data.draw(st.integers(0, len(log)))
    resumed = Halving(rules)
    for report, continues in data.draw(st.permutations(list(zip(log, decisions, strict=True))[:known])):
        resumed.record(report, continues)  # in any order
    assert [resumed.reported(report) for report in log[known:]] == decisions[known:]
    assert [resumed.reported(report) for report in log] == decisions


def test_trials_of_equal_values_go_on_or_stop_together() -> None:
    best, others = (0.9, 1.0), [(0.1 * i, 1.0 + i) for i in range(8)]
    reports = [Report(i, 1, values) for i, values in enumerate([*others, best, best, best])]
    assert len(set(order(TWO, reports)[-3:])) == 1
    assert replay(TWO, reports)[-3:] == [True] * 3
    worst = [Report(20 + i, 1, (0.0, 99.0)) for i in range(3)]
    assert replay(TWO, [*reports, *worst])[-3:] == [False] * 3


def test_trials_with_values_that_are_not_finite_are_stopped_and_not_compared() -> None:
    bad = Report(9, 1, (float("nan"), 1.0))
    assert not decide(TWO, [], bad)
    sound = [Report(i, 1, (0.1 * i, 1.0)) for i in range(3)]
    assert decide(TWO, [*sound, bad], Report(5, 1, (0.9, 1.0)))


@pytest.mark.parametrize("eta", [2, 3, 4])
def test_about_one_in_eta_continues(eta: int) -> None:
    rules = Rules(first=1, eta=eta, signs=(-1.0, 1.0))
    at_first = [r for r in log(600) if r.epoch == 1]
    share = np.mean(replay(rules, at_first))
    assert 0.6 / eta < share < 1.6 / eta
