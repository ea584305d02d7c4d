"""Trials without a search: architectures by name, as text or from a file, in sweep files."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator import Sweep, SweepError
from orchestrator.preflight.placement import this_machine
from orchestrator.preflight.plan import make_plan
from search_space import Genotype
from search_space.published import DARTS_V1
from trials import TrialConfig

TEXT = str(Genotype.parse(DARTS_V1))
NO_SEARCH = {"search": {"algorithm": "none", "genotype": "random"}}


def test_published_random_and_own_architectures_are_swept_beside_searched_ones(tmp_path: Path) -> None:
    file = tmp_path / "own.txt"
    file.write_text(DARTS_V1)
    rows = [["darts", None], ["none", "DARTS_V2"], ["none", "random"], ["none", str(file)]]
    sweep = Sweep(name="a", sweep={"search.algorithm, search.genotype": rows, "space.splitting": [1, 2]})
    choices = [("darts", None), ("none", "DARTS_V2"), ("none", "random"), ("none", TEXT)]
    assert [sweep.dimensions[0].value(i) for i in range(4)] == choices
    file.unlink()  # a later launch, or another node, needs no file
    again = Sweep.from_mapping(sweep.model_dump(mode="json"))
    assert again == sweep
    config = again.config({"search.algorithm, search.genotype": choices[3], "space.splitting": 2})
    assert again.assignment(config.model_dump(mode="json")) == {
        "search.algorithm, search.genotype": choices[3],
        "space.splitting": 2,
    }


@pytest.mark.parametrize(
    "form", [DARTS_V1, f"mine = {TEXT}", Genotype.parse(TEXT).to_json(), Genotype.parse(TEXT).to_dict()]
)
def test_all_forms_of_a_genotype_are_one_trial(form: object) -> None:
    search = {"algorithm": "none", "genotype": form}
    assert TrialConfig.model_validate({"search": search}).search.genotype == TEXT


def test_a_plan_of_baselines_counts_no_searches() -> None:
    sweep = Sweep(
        name="a", trial=NO_SEARCH, sweep={"search.genotype": ["random", "DARTS_V2"], "seed": [0, 1]}
    )
    plan = make_plan(sweep, None, this_machine(), check_data=False)
    assert (plan.trials, plan.searches, plan.epochs) == (4, 0, 4 * 20)


def test_the_exact_macs_of_a_given_architecture_are_checked_before_the_launch() -> None:
    trial = {"search": {"algorithm": "none", "genotype": "DARTS_V2"}}
    sweep = Sweep(name="a", trial=trial, sweep={"seed": [0, 1]}, constraints=["macs <= 1000"])
    with pytest.raises(
        SweepError, match=r"must have macs <= 1000, but the least that the given architecture has is"
    ):
        make_plan(sweep, None, this_machine())


@pytest.mark.parametrize(
    ("fields", "line"),
    [
        (
            {"trial": {"search": {"algorithm": "none"}}},
            "must be given with algorithm none, and with no other",
        ),
        (
            {"trial": {"search": {"genotype": "random"}}},
            "must be given with algorithm none, and with no other",
        ),
        (
            {"trial": {"search": {"algorithm": "none", "genotype": "DARTS_V3"}}},
            "or a file with one, but got 'DARTS_V3'; did you mean `DARTS_V2`?",
        ),
        (
            {"trial": {"search": {"algorithm": "none", "genotype": "Genotype(x=f())"}}},
            "`x` holds something else",
        ),
        (
            {"trial": {"search": {"algorithm": "none", "genotype": "NASNet"}}},
            "must have `space.nodes` nodes, but got 5 in its normal cell and space.nodes=4",
        ),
        (
            {
                "trial": {
                    "search": {"algorithm": "none", "genotype": "DARTS_V2"},
                    "space": {"name": "attention"},
                }
            },
            "must have primitives of space attention, but got 'sep_conv_3x3'",
        ),
        (
            {"trial": {"search": {"algorithm": "none", "genotype": __file__}}},
            f"must be a file with a genotype, but got {__file__}:",
        ),
        (
            {"sweep": {"search.genotype": ["DARTS_V2"]}},
            "must be given with algorithm none, and with no other",
        ),
        (
            {"trial": NO_SEARCH, "sweep": {"search.genotype": ["V9", "random"]}},
            "sweep.search.genotype[0]: `genotype`",
        ),
    ],
)
def test_an_architecture_that_cannot_be_built_is_one_line(fields: dict[str, object], line: str) -> None:
    with pytest.raises(SweepError) as caught:
        Sweep(**{"name": "a", "sweep": {"seed": [0, 1]}} | fields)
    (found,) = caught.value.lines
    assert line in found
