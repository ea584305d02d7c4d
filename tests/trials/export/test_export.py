"""An exported network equals the network of its point, including threshold and quantization."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F

from results import NotStoredError, RunDirectory
from tests.trials.tiny import context_in, tiny_config
from trials.checkpointing import checkpoint
from trials.export import onnx_export
from trials.export.export import PointError, export_point, images_of_test, load_exported
from trials.export.onnx_export import OnnxError
from trials.trial import run_trial

SEEDS = {"darts": 3, "attention": 1}
"""The random architecture of this seed of the space `attention` contains attention."""
CALIBRATED = {"threshold_mode": "share", "calibration": "mse", "correction": "bias", "outer_bits": 6}
TAU = 0.03
"""Smaller than all attention probabilities of the 16 patches of a digit, larger than many other features."""


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], RunDirectory]:
    """Return a function that trains one trial in a space, to an accuracy above 0.3, and returns its run."""

    @cache
    def run_of(space: str) -> RunDirectory:
        config = tiny_config(
            space,
            space={"nodes": 1 if space == "darts" else 2},  # ONNX takes seconds for every edge
            data={"train_images": 512, "test_images": 128},
            search={"epochs": 0},
            train={"epochs": 8 if space == "attention" else 4, "learning_rate": 0.1},
            ladder={"threshold": [0.0, TAU], **(CALIBRATED if space == "attention" else {})},
        ).model_copy(update={"seed": SEEDS[space]})
        context = context_in(tmp_path_factory.mktemp(space))
        run_trial(config, context)
        return context.directory

    return run_of


@pytest.fixture(scope="module")
def exported(
    trained: Callable[[str], RunDirectory], tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str, float, int], Path]:
    """Return a function that exports the point of a space, threshold and bits (of weights and maps)."""

    @cache
    def folder_of(space: str, threshold: float, bits: int) -> Path:
        run = trained(space)
        row = row_of(run, threshold=threshold, weight_bits=bits, feature_map_bits=bits)
        return export_point(run, row["point"], tmp_path_factory.mktemp("exported") / "network")

    return folder_of


def row_of(run: RunDirectory, **rung: float) -> dict[str, Any]:
    rows = run.read_points().to_pylist()
    (row,) = [row for row in rows if all(row[name] == value for name, value in rung.items())]
    return dict(row)


@pytest.mark.parametrize(
    ("space", "threshold", "bits"),
    [("darts", TAU, 8), ("attention", TAU, 8), ("attention", 0.0, 32)],
)
def test_the_program_computes_the_accuracy_and_loss_of_the_row(
    space: str,
    threshold: float,
    bits: int,
    trained: Callable[[str], RunDirectory],
    exported: Callable[[str, float, int], Path],
) -> None:
    run = trained(space)
    assert row_of(run, rung=0)["accuracy"] > 0.3, "the network must have learned something"
    row = row_of(run, threshold=threshold, weight_bits=bits, feature_map_bits=bits)
    folder = exported(space, threshold, bits)
    card = json.loads((folder / "card.json").read_text())
    program = torch.export.load(folder / "program.pt2").module()
    batches = list(images_of_test(card).epoch())
    logits = torch.cat([program(images) for images, _ in batches])
    labels = torch.cat([labels for _, labels in batches])
    assert (logits.argmax(1) == labels).double().mean().item() == row["test_accuracy"]
    assert len(logits.argmax(1).unique()) > 1, "the network must not predict a constant class"
    loss = F.cross_entropy(logits.double(), labels).item()
    assert loss == pytest.approx(row["test_loss"], rel=1e-6)
    one = program(batches[0][0][:1])  # batches of any size
    torch.testing.assert_close(one, logits[:1], rtol=1e-4, atol=1e-4)


def test_the_network_of_the_space_attention_contains_attention(
    trained: Callable[[str], RunDirectory],
) -> None:
    genotype = row_of(trained("attention"), rung=0)["genotype"]
    assert "self_attention" in genotype or "window_attention" in genotype, genotype


def test_the_script_of_the_folder_measures_the_accuracy_again(
    trained: Callable[[str], RunDirectory], exported: Callable[[str, float, int], Path]
) -> None:
    row = row_of(trained("darts"), threshold=TAU, weight_bits=8, feature_map_bits=8)
    folder = exported("darts", TAU, 8)
    done = subprocess.run(
        [sys.executable, folder / "load.py"], capture_output=True, text=True, check=True, timeout=120
    )
    accuracy = f"{row['test_accuracy']:.4f}"
    assert done.stdout == f"test accuracy of the point: {accuracy}, measured now: {accuracy}\n"
    assert len((folder / "load.py").read_text().strip().splitlines()) <= 16


def test_the_folder_contains_card_and_readme(
    trained: Callable[[str], RunDirectory], exported: Callable[[str, float, int], Path]
) -> None:
    row = row_of(trained("attention"), threshold=TAU, weight_bits=8, feature_map_bits=8)
    folder = exported("attention", TAU, 8)
    assert sorted(path.name for path in folder.iterdir()) == [
        "README.md", "card.json", "genotype.json", "load.py", "program.pt2", "weights.pt",
    ]  # fmt: skip
    card = json.loads((folder / "card.json").read_text())
    assert card["point"]["macs"] == row["macs"]
    assert json.loads(card["point"]["versions"])["torch"]
    assert card["input"]["shape"] == ["batch", 1, 8, 8]
    assert 0 < card["input"]["mean"][0] < 1
    assert card["output"]["classes"] == list("0123456789")
    page = (folder / "README.md").read_text()
    assert f"| multiply-adds per image | {row['macs']:,} |" in page
    assert "torch.export.load" in page
    assert "0 0, 1 1, 2 2, 3 3, 4 4, 5 5, 6 6, 7 7, 8 8, 9 9" in page
    stored = torch.load(folder / "weights.pt", weights_only=True)
    assert stored["class_names"] == list("0123456789")
    assert stored["genotype"] == (folder / "genotype.json").read_text().strip() == row["genotype"]


def test_the_network_as_trained_can_be_loaded(
    trained: Callable[[str], RunDirectory], exported: Callable[[str, float, int], Path]
) -> None:
    run = trained("darts")
    row = row_of(run, threshold=TAU, weight_bits=8, feature_map_bits=8)
    network, measure, _ = load_exported(exported("darts", TAU, 8))
    measured = measure()
    for name in ("accuracy", "loss", "macs", "memory_bytes", "sparsity", "effective_macs"):
        assert measured[name] == pytest.approx(row[name], rel=1e-9), name
    stored = checkpoint.unpack(run.read_network(row["trial_key"]))["network"]
    for name, value in network.state_dict().items():
        assert torch.equal(value, stored[name])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("space", "rung"),
    [
        ("attention", {"threshold": 0.0, "weight_bits": 32, "feature_map_bits": 32}),
        ("darts", {"threshold": TAU, "weight_bits": 8, "feature_map_bits": 8}),
    ],
)
def test_onnxruntime_computes_the_same(
    space: str, rung: dict[str, float], trained: Callable[[str], RunDirectory], tmp_path: Path
) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    row = row_of(trained(space), **rung)
    folder = export_point(trained(space), row["point"], tmp_path / "network", onnx=True)
    card = json.loads((folder / "card.json").read_text())
    session = onnxruntime.InferenceSession(folder / "network.onnx", providers=["CPUExecutionProvider"])
    program = torch.export.load(folder / "program.pt2").module()
    right = images_seen = 0
    for images, labels in images_of_test(card).epoch():
        (logits,) = session.run(None, {"images": images.contiguous().numpy()})
        torch.testing.assert_close(torch.from_numpy(logits), program(images), rtol=0, atol=1e-4)
        right += int((logits.argmax(1) == labels.numpy()).sum())
        images_seen += len(labels)
    assert right / images_seen == row["test_accuracy"] == card["onnx"]["accuracy"]
    assert card["onnx"]["differing"] == 0
    assert "`network.onnx` is the same program" in (folder / "README.md").read_text()


class Unknown(torch.nn.Module):
    """An operation that ONNX does not have."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return torch.special.bessel_j0(images).flatten(1)


def test_operations_without_onnx_are_a_one_line_error(tmp_path: Path) -> None:
    pytest.importorskip("onnxscript")
    batch = (torch.zeros(2, 1, 4, 4), torch.zeros(2, dtype=torch.int64))
    with pytest.raises(OnnxError, match=r"torch must have ONNX for every operation, but .*bessel") as raised:
        onnx_export.write_onnx(Unknown(), [batch], tmp_path / "network.onnx")
    assert len(str(raised.value).splitlines()) == 1
    assert not (tmp_path / "network.onnx").exists()


def test_missing_packages_are_reported_before_anything_is_written(
    trained: Callable[[str], RunDirectory], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(onnx_export, "REQUIRED_PACKAGES", ("torch", "no_such_package"))
    with pytest.raises(OnnxError, match=r"--onnx needs no_such_package: pip install 'shrinksweep\[onnx\]'"):
        export_point(trained("darts"), "any", tmp_path / "network", onnx=True)
    assert not (tmp_path / "network").exists()


def test_unknown_points_and_missing_networks_are_one_line_errors(
    trained: Callable[[str], RunDirectory], tmp_path: Path
) -> None:
    run = trained("darts")
    point = row_of(run, rung=0)["point"]
    with pytest.raises(PointError, match=r"got 'zzz-00': no such point; it holds 8 points, such as"):
        export_point(run, "zzz-00", tmp_path / "network")
    with pytest.raises(PointError, match="no such point"):
        export_point(run, point[:8], tmp_path / "network")  # a key without a rung
    bare = context_in(tmp_path / "bare").directory
    bare.write_points(point[:16], run.read_points().to_pylist())
    with pytest.raises(NotStoredError, match=r"must hold the network of trial .* but it was not stored"):
        export_point(bare, point, tmp_path / "network")
    assert not (tmp_path / "network").exists()
