"""Trials that stand still are found, and no others. The clock is injected."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from orchestrator.conductor.stalls import AT_LEAST_S, EPOCHS, LOOK_EVERY_S, Stalls


class Watching:
    """Looks every ``LOOK_EVERY_S`` at one trial."""

    def __init__(self, limit_s: float | None = None) -> None:
        self.now = 0.0
        self.stalls = Stalls(limit_s, clock=lambda: self.now)
        self.stalls.placed(7)

    def begin(self) -> None:
        """Let the trial do its first step."""
        self.stalls.look({7: {"process": -2}})
        self.stalls.look({7: {"process": -1}})

    def until_stalled(self, sign: Callable[[float], int | None], at_most_s: float = 5000.0) -> float | None:
        """Return after how many seconds the trial is found to stand still; None: not within ``at_most_s``."""
        start = self.now
        while self.now - start < at_most_s:
            self.now += self.stalls.look_every_s
            assert self.stalls.due
            shown = sign(self.now)
            if 7 in self.stalls.look({} if shown is None else {7: {"process": shown}}):
                return self.now - start
        return None


def test_a_trial_whose_signs_of_life_do_not_change_stands_still() -> None:
    watching = Watching(limit_s=60.0)
    watching.begin()
    found = watching.until_stalled(lambda now: 1)
    assert found == pytest.approx(60.0, abs=2 * LOOK_EVERY_S)
    reason = watching.stalls.ended(7)
    assert reason is not None
    assert str(reason).startswith("Stalled: no progress for 60 s")
    assert watching.stalls.ended(7) is None


def test_a_trial_that_counts_its_steps_or_has_not_begun_does_not_stand_still() -> None:
    assert Watching(limit_s=60.0).until_stalled(lambda now: int(now // 50)) is None
    assert Watching(limit_s=60.0).until_stalled(lambda now: None) is None


def test_until_its_first_step_a_trial_has_the_time_to_load_libraries_and_images() -> None:
    watching = Watching(limit_s=60.0)
    assert watching.until_stalled(lambda now: 1) == pytest.approx(AT_LEAST_S, abs=2 * LOOK_EVERY_S)
    watching = Watching(limit_s=60.0)
    watching.stalls.progressed(7, epoch_s=1.0)
    assert watching.until_stalled(lambda now: 1) == pytest.approx(60.0, abs=2 * LOOK_EVERY_S)


def test_without_a_limit_a_trial_may_take_ten_of_its_longest_epochs() -> None:
    watching = Watching()
    assert watching.until_stalled(lambda now: 1) == pytest.approx(AT_LEAST_S, abs=2 * LOOK_EVERY_S)
    watching.stalls.progressed(7, epoch_s=200.0)
    watching.stalls.progressed(7, epoch_s=1.0)
    assert watching.until_stalled(lambda now: 1) == pytest.approx(EPOCHS * 200.0, abs=2 * LOOK_EVERY_S)


def test_a_trial_that_goes_on_after_all_is_not_blamed_later() -> None:
    watching = Watching(limit_s=60.0)
    watching.begin()
    watching.until_stalled(lambda now: 1)
    watching.stalls.progressed(7)
    assert watching.stalls.ended(7) is None


def test_the_end_of_a_trial_is_asked_for_again_if_it_does_not_come() -> None:
    watching = Watching(limit_s=60.0)
    watching.begin()
    for _ in range(3):
        found = watching.until_stalled(lambda now: 1)
        assert found == pytest.approx(60.0, abs=2 * LOOK_EVERY_S)


def test_a_suspension_of_the_launch_counts_as_a_few_looks() -> None:
    watching = Watching(limit_s=600.0)
    watching.begin()
    watching.now += 100_000.0
    assert watching.stalls.look({7: {"process": -1}}) == []
    assert watching.until_stalled(lambda now: -1) == pytest.approx(570.0, abs=LOOK_EVERY_S)


def test_a_short_limit_is_looked_at_more_often() -> None:
    watching = Watching(limit_s=5.0)
    watching.begin()
    assert watching.until_stalled(lambda now: 1) == pytest.approx(5.0, abs=2.0)


def test_a_trial_that_has_ended_is_watched_no_longer() -> None:
    watching = Watching(limit_s=60.0)
    watching.begin()
    watching.stalls.ended(7)
    assert watching.until_stalled(lambda now: 1, at_most_s=300.0) is None
