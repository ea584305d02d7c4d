"""One contract for every searcher: new, within the sweep, repeatable, and rebuilt from what is on storage."""

from __future__ import annotations

from typing import Any

import pytest

from orchestrator import Sweep
from orchestrator.searchers.base import finite
from orchestrator.searchers.proposals import Proposals, make_searcher
from orchestrator.sweep.dimensions import Assignment, as_text

SEARCHERS = ["grid", "random", "nsga2", "tpe"]


def make_sweep(searcher: str, **fields: Any) -> Sweep:
    swept = {"space.splitting": [1, 2, 4], "train.epochs": {"low": 1, "high": 30}}
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
    best = assignment["train.epochs"] / assignment["space.splitting"]
    return [[best - rung, assignment["train.epochs"] - 2.0 * rung] for rung in range(2)]


def run(sweep: Sweep, count: int, history: list[Assignment] | None = None) -> list[Assignment]:
    """Propose and tell, one trial at a time, after ``history`` was read back from storage."""
    history = list(history or [])
    proposals = Proposals(make_searcher(sweep), sweep.combinations, [as_text(a) for a in history])
    for index, assignment in enumerate(history):
        proposals.searcher.tell(index, assignment, ladder(assignment))
    for index in range(len(history), count):
        assignment = proposals.next(index)
        if assignment is None:
            break
        proposals.searcher.tell(index, assignment, ladder(assignment))
        history.append(assignment)
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
def test_a_searcher_rebuilt_from_storage_goes_on_where_it_was(searcher: str, killed_after: int) -> None:
    whole = run(make_sweep(searcher), 30)
    assert run(make_sweep(searcher), 30, whole[:killed_after]) == whole


@pytest.mark.parametrize("searcher", SEARCHERS)
def test_a_finite_sweep_is_exhausted_and_nothing_is_proposed_twice(searcher: str) -> None:
    sweep = make_sweep(searcher, sweep={"space.splitting": [1, 2, 4], "train.epochs": [3, 5]})
    found = run(sweep, 100)
    assert len({as_text(assignment) for assignment in found}) == len(found) == 6


@pytest.mark.parametrize("searcher", SEARCHERS)
def test_values_added_to_a_list_are_proposed_after_what_is_known(searcher: str) -> None:
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
    found = []
    while (assignment := proposals.next(len(found))) is not None:
        stored = sweep.assignment(sweep.config(assignment).model_dump(mode="json"))
        proposals.searcher.tell(len(found), stored, [[0.5, 1.0]])
        found.append(assignment)
    return found


def test_points_without_a_finite_objective_are_left_out() -> None:
    assert finite([[1, 2.0], [None, 1.0], [float("nan"), 1.0]]) == [[1.0, 2.0]]
