"""Two ranks with half a batch each give the results of one rank with the whole batch, in float64."""

from __future__ import annotations

import traceback
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TypedDict, cast
from unittest import mock

import pytest
import torch
from torch import Tensor
from torch.multiprocessing.spawn import spawn

from tests.trials.tiny import CONVOLUTIONS, CPU, compute_of, context_in, images_of, tiny_config
from trials import TrialConfig, TrialError, run_trial
from trials.checkpointing.record import EpochColumns
from trials.config import DataConfig
from trials.data.image_set import ImageSet
from trials.data.loading import Images, load_images
from trials.device.parallel import Mesh, backend_for, process_group
from trials.device.rendezvous import new_address
from trials.search.search import Search
from trials.train.training import Training

FLOAT64 = {"precision": "float64"}
MAPS = {"regularization": 0.01, "in_search": True}
CASES: dict[str, TrialConfig] = {
    "darts": tiny_config(device=FLOAT64, feature_maps=MAPS, search={"cost_pressure": 0.01}),
    "second order": tiny_config(device=FLOAT64, search={"algorithm": "darts_second_order"}),
    "pc_darts, recomputed": tiny_config(
        device=FLOAT64, search={"algorithm": "pc_darts", "partial_channels": 2, "recompute": True}
    ),
    "hybrid": tiny_config("hybrid", device=FLOAT64, feature_maps={**MAPS, "measure": "hoyer"}),
}


class Outcome(TypedDict):
    """Weights and measurements of a phase."""

    state: dict[str, Tensor]
    rows: list[dict[str, float]]


class RankResult(TypedDict):
    """Everything that a rank returns to the test."""

    searches: dict[str, Outcome]
    training: Outcome
    sum: Tensor
    agree: str
    disagree: str
    other_alpha: str
    trial: str
    other_images: str


def searched(config: TrialConfig, mesh: Mesh) -> Outcome:
    """Return state and measurements of one epoch of a search."""
    torch.manual_seed(config.seed)
    search = Search(config, images_of(config), compute_of(config), mesh)
    rows = [search.run_epoch(0)]
    return {"state": search.supernet.state_dict(), "rows": [_numbers(row) for row in rows]}


def trained(config: TrialConfig, mesh: Mesh) -> Outcome:
    """Return state and measurements of a training of two epochs."""
    torch.manual_seed(config.seed)
    training = Training(config, CONVOLUTIONS, images_of(config), compute_of(config), mesh)
    rows = [training.run_epoch(epoch) for epoch in range(2)]
    return {"state": training.network.state_dict(), "rows": [_numbers(row) for row in rows]}


def _numbers(row: EpochColumns) -> dict[str, float]:
    """Return all numbers of a row, including those of every tap."""
    numbers: dict[str, float] = {name: value for name, value in row.items() if isinstance(value, float | int)}
    for tap in row.get("taps", []):
        numbers[f"{tap['tap']} sparsity"] = tap["sparsity"]
        numbers[f"{tap['tap']} mean_magnitude"] = tap["mean_magnitude"]
    return numbers


TRAINING = tiny_config(
    device=FLOAT64, feature_maps=MAPS, train={"validation_share": 0.25, "drop_path": 0.5, "epochs": 2}
)


def _rank(rank: int, folder: str, address: str) -> None:
    """Run every case in one of two processes: searches, a training, ranks that disagree, a whole trial."""
    torch.set_num_threads(1)
    with process_group(rank, 2, address, CPU) as mesh:
        searches = {name: searched(config, mesh) for name, config in CASES.items()}
        training = trained(TRAINING, mesh)
        total = mesh.sum(torch.tensor([rank + 1.0]))
        agree, disagree = _disagreement(mesh, b"same"), _disagreement(mesh, bytes([rank]))
        other_alpha = _with_other_alpha(mesh)
    trial = _whole_trial(rank, folder, "run")
    with mock.patch("trials.trial.load_images", partial(_other_labels, rank)):
        other_images = _whole_trial(rank, folder, "unequal")
    result: RankResult = {
        "searches": searches,
        "training": training,
        "sum": total,
        "agree": agree,
        "disagree": disagree,
        "other_alpha": other_alpha,
        "trial": trial,
        "other_images": other_images,
    }
    torch.save(result, f"{folder}/rank{rank}.pt")


def _disagreement(mesh: Mesh, content: bytes) -> str:
    """Return the error if ``content`` differs between ranks, or an empty string."""
    try:
        mesh.require_agreement("alphas and genotype", lambda: content)
    except TrialError as error:
        return str(error)
    return ""


def _whole_trial(rank: int, folder: str, name: str) -> str:
    """Run a trial in a folder of its own; return its error, or an empty string."""
    context = context_in(Path(folder) / name, rank=rank, world_size=2, address=f"file://{folder}/meet-{name}")
    try:
        run_trial(TRAINING, context)
    except TrialError as error:
        return str(error)
    except Exception:
        return traceback.format_exc()
    return ""


def _other_labels(rank: int, config: DataConfig, seed: int, device: torch.device) -> Images:
    """Load images; on rank 1, one label is different."""
    images = load_images(config, seed, device)
    assert isinstance(images.train, ImageSet)
    labels = images.train.labels.clone()
    labels[5] = (labels[5] + rank) % images.classes
    return replace(images, train=replace(images.train, labels=labels))


def _with_other_alpha(mesh: Mesh) -> str:
    """Run an epoch of a search with one alpha that differs on rank 1; return the error, or an empty string."""
    config = CASES["darts"]
    torch.manual_seed(config.seed)
    search = Search(config, images_of(config), compute_of(config), mesh)
    with torch.no_grad():
        search.supernet.alphas["normal"][0, 0] += 1e-9 * mesh.rank
    try:
        search.run_epoch(0)
    except TrialError as error:
        return str(error)
    return ""


@pytest.fixture(scope="module")
def ranks(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[RankResult]]:
    folder = tmp_path_factory.mktemp("ranks")
    spawn(_rank, (str(folder), new_address("127.0.0.1")), nprocs=2)
    return folder, [cast(RankResult, torch.load(folder / f"rank{rank}.pt")) for rank in range(2)]


Ranks = tuple[Path, list[RankResult]]


def assert_same(found: Outcome, alone: Outcome) -> None:
    torch.testing.assert_close(found["state"], alone["state"], rtol=0, atol=1e-10)
    for row, expected in zip(found["rows"], alone["rows"], strict=True):
        assert row == pytest.approx(expected, rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("case", CASES)
def test_search_on_two_ranks_equals_search_on_one(ranks: Ranks, case: str) -> None:
    alone = searched(CASES[case], Mesh())
    for found in ranks[1]:
        assert_same(found["searches"][case], alone)


def test_training_on_two_ranks_equals_training_on_one(ranks: Ranks) -> None:
    alone = trained(TRAINING, Mesh())
    for found in ranks[1]:
        assert_same(found["training"], alone)


def test_ranks_that_disagree_all_stop_with_the_same_error(ranks: Ranks) -> None:
    for found in ranks[1]:
        assert found["agree"] == ""
        expected = "all ranks must hold the same alphas and genotype, but rank 0 and rank 1 differ"
        assert found["disagree"] == found["other_alpha"] == expected
        assert found["sum"].tolist() == [3.0]


def test_a_whole_trial_on_two_ranks_has_the_points_of_one(ranks: Ranks, tmp_path: Path) -> None:
    folder, found = ranks
    assert [one["trial"] for one in found] == ["", ""]
    alone = context_in(tmp_path)
    run_trial(TRAINING, alone)
    key = TRAINING.trial_key()
    points = context_in(folder / "run").directory.read_points(key).to_pylist()
    for row, expected in zip(points, alone.directory.read_points(key).to_pylist(), strict=True):
        for name in ("accuracy", "macs", "params", "genotype", "rung", "point"):
            assert row[name] == expected[name]
        assert row["loss"] == pytest.approx(expected["loss"], rel=1e-9)


def test_ranks_with_different_images_stop_before_the_first_step(ranks: Ranks) -> None:
    folder, found = ranks
    expected = "all ranks must hold the same images, but rank 0 and rank 1 differ"
    assert [one["other_images"] for one in found] == [expected, expected]
    assert context_in(folder / "unequal").directory.read_progress().num_rows == 0


@pytest.mark.parametrize(
    ("devices", "backend"),
    [
        ([0, 0], "gloo"),
        ([71, 72], "nccl"),
        ([71, 71], "gloo"),
        ([71, 0], "gloo"),
    ],
)
def test_nccl_requires_a_gpu_per_rank(devices: list[int], backend: str) -> None:
    assert backend_for(devices) == backend


def test_a_batch_size_that_is_no_multiple_of_the_ranks_is_an_error() -> None:
    config = tiny_config(data={"batch_size": 31})
    with pytest.raises(ValueError, match="`batch_size` must be a multiple of the 2 ranks, but got 31"):
        Search(config, images_of(config), compute_of(config), Mesh(0, 2, None))
