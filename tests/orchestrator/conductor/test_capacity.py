"""How many trials are handed to Ray Tune at a time."""

from __future__ import annotations

from orchestrator.conductor.capacity import RECOUNT_EVERY_S, REQUEST_AFTER_S, Capacity


class World:
    """A clock and a cluster."""

    def __init__(self, capacity: int) -> None:
        self.now, self.capacity, self.counted = 0.0, capacity, 0

    def count(self) -> int:
        self.counted += 1
        return self.capacity

    def clock(self) -> float:
        return self.now


def test_trials_are_handed_out_as_long_as_they_fit() -> None:
    world = World(2)
    capacity = Capacity(world.count, world.clock)
    assert [capacity.has_room(taken) for taken in (0, 1, 2, 3)] == [True, True, False, False]


def test_a_full_cluster_gets_one_more_waiting_trial_after_a_while() -> None:
    world = World(2)
    capacity = Capacity(world.count, world.clock)
    assert not capacity.has_room(2)
    world.now = REQUEST_AFTER_S
    assert capacity.has_room(2)
    assert not capacity.has_room(3)


def test_short_trials_never_have_one_more_waiting() -> None:
    world = World(2)
    capacity = Capacity(world.count, world.clock)
    for _ in range(100):
        world.now += REQUEST_AFTER_S / 2
        assert not capacity.has_room(2)
        assert capacity.has_room(1)


def test_after_a_slow_start_short_trials_have_none_waiting_either() -> None:
    world = World(2)
    capacity = Capacity(world.count, world.clock)
    assert not capacity.has_room(2)
    world.now = REQUEST_AFTER_S  # the processes are still starting
    assert capacity.has_room(2)
    assert not capacity.has_room(3)
    world.now += 0.1
    assert not capacity.has_room(2)  # a trial has ended, and the waiting one took its place
    world.now += 0.1
    assert capacity.has_room(1)


def test_nodes_that_join_or_leave_are_noticed_without_counting_every_time() -> None:
    world = World(1)
    capacity = Capacity(world.count, world.clock)
    world.capacity = 4
    capacity.recount()
    assert not capacity.has_room(1)
    world.now = RECOUNT_EVERY_S
    capacity.recount()
    assert capacity.has_room(1)
    assert capacity.has_room(3)
    assert world.counted == 2
    world.capacity, world.now = 0, 2 * RECOUNT_EVERY_S
    capacity.recount()
    assert not capacity.has_room(1)
    assert not capacity.has_room(0)
    world.now += REQUEST_AFTER_S
    assert capacity.has_room(0)  # a cluster without a node is asked for one, by a waiting trial
