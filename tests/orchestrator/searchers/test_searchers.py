"""The contract of every searcher: proposals are new, valid and repeatable, and continue after a rebuild."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from orchestrator import Sweep
from orchestrator.searchers.proposals import Proposals, make_searcher
from orchestrator.sweep.dimensions import Assignment, as_text

SEARCHERS = ["grid", "random", "nsga2", "tpe"]


def make_sweep(searcher: str, **fields: object) -> Sweep:
    swept: dict[str, object] = {"space.splitting": [1, 2, 4], "train.epochs": {"low": 1, "high": 30}}
    if searcher != "grid":
        swept["feature_maps.regularization"] = {"low": "1e-6", "high": 1e-3, "log": True}
    return Sweep(
        **{
            "name": "test",
            "objectives": {"accuracy": "max", "macs": "min"},
            "trial": {"ladder": {"threshold": [0.0, 0.1]}},
            "sweep": swept,
            "strategy": {"searcher": searcher, "trials": 40, "population": 6},
        }
        | fields
    )


def ladder(assignment: Assignment) -> list[list[float]]:
    """Return the objectives of two rungs: few splittings and many epochs are accurate."""
    epochs, splitting = assignment["train.epochs"], assignment["space.splitting"]
    assert isinstance(epochs, int)
    assert isinstance(splitting, int)
    return [[epochs / splitting - rung, epochs - 2.0 * rung] for rung in range(2)]


def run(sweep: Sweep, count: int, known: Sequence[Assignment] = ()) -> list[Assignment]:
    """Propose and tell up to ``count`` trials, one at a time; the ``known`` ones were proposed by earlier launches."""
    history = list(known)
    proposals = Proposals(make_searcher(sweep), sweep.combinations, [as_text(a) for a in history])
    for index, assignment in enumerate(history):
        proposals.searcher.tell(index, assignment, ladder(assignment))
    for index in range(len(history), count):
        proposed = proposals.next(index)
        if proposed is None:
            break
        proposals.searcher.tell(index, proposed, ladder(proposed))
        history.append(proposed)
    return history


@pytest.mark.parametrize("searcher", SEARCHERS)
def test_proposals_are_new_and_make_valid_trials(searcher: str) -> None:
    sweep = make_sweep(searcher)
    found = run(sweep, 30)
    keys = {sweep.config(assignment).trial_key() for assignment in found}
    assert len(keys) == len(found) == 30
    for assignment in found:
        stored = sweep.config(assignment).model_dump(mode="json")
        assert as_text(sweep.assignment(stored)) == as_text(assignment)


@pytest.mark.parametrize("searcher", SEARCHERS)
def test_the_same_sweep_and_seed_give_the_same_proposals(searcher: str) -> None:
    assert run(make_sweep(searcher), 30) == run(make_sweep(searcher), 30)


@pytest.mark.parametrize("searcher", ["random", "nsga2", "tpe"])
def test_another_seed_gives_other_proposals(searcher: str) -> None:
    assert run(make_sweep(searcher), 10) != run(make_sweep(searcher, seed=1), 10)


@pytest.mark.parametrize("searcher", SEARCHERS)
@pytest.mark.parametrize("killed_after", [1, 9, 21])
def test_a_searcher_rebuilt_from_storage_continues_where_it_stopped(searcher: str, killed_after: int) -> None:
    whole = run(make_sweep(searcher), 30)
    assert run(make_sweep(searcher), 30, whole[:killed_after]) == whole


@pytest.mark.parametrize("searcher", SEARCHERS)
def test_a_finite_sweep_is_exhausted_and_nothing_is_proposed_twice(searcher: str) -> None:
    sweep = make_sweep(searcher, sweep={"space.splitting": [1, 2, 4], "train.epochs": [3, 5]})
    found = run(sweep, 100)
    assert len({as_text(assignment) for assignment in found}) == len(found) == 6


@pytest.mark.parametrize("searcher", SEARCHERS)
def test_values_added_to_a_list_are_proposed_after_the_known_ones(searcher: str) -> None:
    small = make_sweep(searcher, sweep={"space.splitting": [1, 4], "train.epochs": [3, 5]})
    large = make_sweep(searcher, sweep={"space.splitting": [1, 2, 4], "train.epochs": [3, 5]})
    found = run(large, 100, run(small, 100))
    assert [a["space.splitting"] for a in found[4:]] == [2, 2]


@pytest.mark.parametrize("searcher", ["nsga2", "tpe"])
def test_an_adaptive_searcher_learns_from_every_rung(searcher: str) -> None:
    found = run(make_sweep(searcher), 80)
    assert [a["space.splitting"] for a in found[50:]].count(1) > 15


def test_swept_lists_of_lists_are_searched_too() -> None:
    sweep = make_sweep("tpe", sweep={"feature_maps.taps": [["*"], ["*.query"]], "train.epochs": [1, 2, 3]})
    history = [sweep.assignment(sweep.config(a).model_dump(mode="json")) for a in sweep_all(sweep)]
    assert len(history) == 6


def sweep_all(sweep: Sweep) -> list[Assignment]:
    proposals = Proposals(make_searcher(sweep), sweep.combinations)
    found: list[Assignment] = []
    while (assignment := proposals.next(len(found))) is not None:
        stored = sweep.assignment(sweep.config(assignment).model_dump(mode="json"))
        proposals.searcher.tell(len(found), stored, [[0.5, 1.0]])
        found.append(assignment)
    return found
