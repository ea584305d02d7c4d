"""What the files of the data tell is compared with the sweep before anything starts."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator import Sweep, SweepError
from orchestrator.preflight.data_checks import check_data, data_faults
from orchestrator.preflight.plan import Plan, describe, make_plan
from results import RunDirectory
from tests.results.rows import epoch_rows, key_of
from tests.trials.data import image_makers as make

NODES = [{"CPU": 4.0, "GPU": 0.0}]


def sweep_of(data: dict[str, object], workers: int = 1, **blocks: object) -> Sweep:
    trial = {"space": {"cells": 3}, "data": data, **blocks}
    return Sweep.model_validate(
        {"name": "t", "trial": trial, "sweep": {"space.splitting": [1]}, "resources": {"workers": workers}}
    )


def image_folder(root: Path, **counts: int) -> dict[str, object]:
    classes = {f"{split}/{name}": count for name in ("ant", "bee") for split, count in counts.items()}
    make.image_folder(root, classes, (8, 8))
    return {"name": "image_folder", "path": str(root)}


@pytest.mark.parametrize(
    ("data", "blocks", "fault"),
    [
        ({"train_images": 1500}, {}, "`data.train_images` must be at most the 1437 there are, but got 1500"),
        ({"test_images": 361}, {}, "`data.test_images` must be at most the 360 there are, but got 361"),
        (
            {"train_images": 64, "validation_share": 0.0},
            {"train": {"validation_share": 0.999}},
            "`train.validation_share` must leave a training image for every worker (2), but 0.999 of 64 leaves 0",
        ),
        (
            {"train_images": 64, "validation_share": 0.999},
            {},
            "`data.validation_share` must leave a training image for every worker (2), but 0.999 of 64 leaves 0",
        ),
        ({"train_images": 3}, {}, "every worker (2) needs two training images, but there are 3"),
        ({"batch_size": 63}, {}, "`data.batch_size` must be a multiple of `resources.workers`, 2, but got 63"),
        ({}, {"train": {"batch_size": 7}}, "`train.batch_size` must be a multiple of `resources.workers`, 2, but got"),
    ],
)  # fmt: skip
def test_more_than_there_is_is_refused(
    data: dict[str, object], blocks: dict[str, object], fault: str
) -> None:
    with pytest.raises(SweepError) as caught:
        make_plan(sweep_of({"name": "digits", **data}, workers=2, **blocks), None, NODES)
    assert any(line.startswith(fault) for line in caught.value.lines)


def test_what_every_trial_would_do_with_the_data_is_noted(tmp_path: Path) -> None:
    data = image_folder(tmp_path, train=3, test=1)
    (tmp_path / "train" / "ant" / "readme.txt").write_text("x")
    plan = make_plan(sweep_of({**data, "cutout": 16, "image_size": 8}), None, NODES)
    assert plan.notes[:2] == [
        f"1 of 7 files in {tmp_path}/train are left out: 1 .txt",
        "`data.cutout` is 16: it blanks the whole of every image, which is 8 pixels wide",
    ]
    assert f"note:       {plan.notes[0]}" in describe(plan)


def test_a_search_that_never_moves_its_alphas_is_noted() -> None:
    sweep = sweep_of({"name": "digits"}, search={"epochs": 5, "alpha_warmup_epochs": 15})
    [note] = make_plan(sweep, None, NODES).notes
    assert note.startswith(
        "`search.alpha_warmup_epochs` is 15, and the search has 5 epochs: no alpha ever moves"
    )


def test_other_images_than_those_of_the_run_are_refused(tmp_path: Path) -> None:
    sweep = sweep_of(image_folder(tmp_path / "images", train=3, test=1))
    directory = RunDirectory(tmp_path / "run", create=True)
    first = plan_and_store(sweep, directory)
    name = f"image_folder {tmp_path}/images"
    assert list(first.fingerprints) == [name]
    make.image_folder(tmp_path / "images", {"train/cat": 2}, (8, 8))
    second = make_plan(sweep, directory, NODES)  # nothing was trained yet
    directory.write_progress(key_of(0), epoch_rows(0))
    with pytest.raises(SweepError) as caught:
        make_plan(sweep, directory, NODES)
    assert caught.value.lines == [
        f"{directory.uri} holds trials on other images or labels: {name} has changed since (fingerprint "
        f"{first.fingerprints[name]} there, {second.fingerprints[name]} here); restore it, or launch into another "
        "run directory"
    ]


def test_a_run_without_a_fingerprint_is_noted(tmp_path: Path) -> None:
    sweep = sweep_of(image_folder(tmp_path / "images", train=3, test=1))
    directory = RunDirectory(tmp_path / "run", create=True)
    directory.write_sweep(sweep.model_dump(mode="json"), {})
    directory.write_progress(key_of(0), epoch_rows(0))
    notes = make_plan(sweep, directory, NODES).notes
    assert any("stored no fingerprint of image_folder" in note for note in notes)


def plan_and_store(sweep: Sweep, directory: RunDirectory) -> Plan:
    plan = make_plan(sweep, directory, NODES)
    directory.write_sweep(sweep.model_dump(mode="json"), {"data": plan.fingerprints})
    return plan


def test_a_node_with_other_images_is_refused(tmp_path: Path) -> None:
    sweep = sweep_of(image_folder(tmp_path, train=3, test=1))
    here = check_data(sweep).fingerprints
    assert data_faults(sweep, here) == []
    [fault] = data_faults(sweep, dict.fromkeys(here, "0123456789abcdef"))
    assert fault.startswith("all nodes must have the same images and labels, but those of image_folder")
