"""Taking a network away: a folder that needs nothing of this project's record, and little of its code.

FOLDER/
    program.pt2     the network of the point as a ``torch.export`` program, batch size free: needs torch alone
    weights.pt      state dict and genotype as trained, read with ``torch.load(weights_only=True)``
    genotype.json   the architecture
    card.json       the row of the point: configuration, costs, versions; what the program takes and gives
    README.md       the same for people
    load.py         loads the program and measures the accuracy of the point again
    network.onnx    the program for onnxruntime, if it was asked for
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from results import ResultsError, RunDirectory
from search_space import Network
from trials.checkpointing import checkpoint
from trials.config import Rung, TrialConfig
from trials.data.batches import Batches
from trials.data.loading import Images, load_images
from trials.device.compute import Compute
from trials.device.parallel import local_device
from trials.export.model_card import as_markdown, card_of
from trials.export.onnx_export import require_onnx, write_onnx
from trials.export.portable import as_program, portable
from trials.ladder.ladder import calibrate
from trials.points import calibration_batches, evaluation_batches, measure_points
from trials.trial import load_network

SCRIPT = '''"""Load the exported program and measure the accuracy of its point again."""

import json
from pathlib import Path

import torch
from trials.export import images_of_test

folder = Path(__file__).parent
card = json.loads((folder / "card.json").read_text())
program = torch.export.load(folder / "program.pt2").module()
right = torch.cat([program(images).argmax(1) == labels for images, labels in images_of_test(card).epoch()])
accuracy = right.double().mean().item()
print(f"accuracy of the point: {card['point']['accuracy']:.4f}, measured now: {accuracy:.4f}")
'''


class PointError(ResultsError):
    """A point that a run does not hold."""


def find_point(directory: RunDirectory, point: str) -> dict[str, Any]:
    """Return the row of ``point``, given by its whole name or by the first digits of its key and its rung.

    Raises:
        PointError: no point of that name, or more than one.
    """
    table = directory.read_points()
    names = table["point"].to_pylist()
    key, _, rung = point.partition("-")
    found = [row for row, name in enumerate(names) if name.startswith(key) and name.endswith(f"-{rung}")]
    if len(found) != 1:
        known = f"it holds {len(names)} points, such as {names[0]}" if names else "it holds none yet"
        count = "no such point" if not found else f"{len(found)} of that name"
        raise PointError(f"POINT must name one point of {directory.uri}, but got {point!r}: {count}; {known}")
    return table.slice(found[0], 1).to_pylist()[0]


def export_point(
    directory: RunDirectory, point: str, folder: Path | None = None, *, onnx: bool = False
) -> Path:
    """Write the network behind ``point`` to ``folder`` (default: the point's name) and return the folder.

    Raises:
        PointError: the run holds no such point.
        NotStoredError: its network was not stored.
        OnnxError: ``onnx`` is asked for, but cannot be had.
    """
    if onnx:
        require_onnx()
    row = find_point(directory, point)
    folder = folder or Path(row["point"])
    stored = checkpoint.unpack(directory.read_network(row["trial_key"]))
    config, rung = _config(row), _rung(row)
    network, images, compute = _rebuilt(config, stored)
    ranges = calibrate(network, calibration_batches(images, compute), compute)
    card = card_of(row, images)
    example = torch.zeros(2, *images.shape, dtype=compute.dtype)
    _make(folder)
    if onnx:
        twin = portable(network, rung, ranges, explicit_attention=True)
        card["onnx"] = write_onnx(twin, evaluation_batches(images, compute).epoch(), folder / "network.onnx")
    torch.export.save(as_program(portable(network, rung, ranges), example), folder / "program.pt2")
    (folder / "weights.pt").write_bytes(
        checkpoint.pack({key: stored[key] for key in ("genotype", "network")})
    )
    (folder / "genotype.json").write_text(stored["genotype"] + "\n")
    (folder / "card.json").write_text(json.dumps(card, indent=1) + "\n")
    (folder / "README.md").write_text(as_markdown(card))
    (folder / "load.py").write_text(SCRIPT)
    return folder


def load_exported(folder: Path) -> tuple[Network, Callable[[], dict[str, Any]], dict[str, Any]]:
    """Load the network as it was trained from what :func:`export_point` wrote.

    Returns:
        The network in evaluation mode; a function that measures the point's columns again on the test images;
        the card.
    """
    card = json.loads((folder / "card.json").read_text())
    config, rung = _config(card["point"]), _rung(card["point"])
    network, images, compute = _rebuilt(config, checkpoint.unpack((folder / "weights.pt").read_bytes()))

    def measure() -> dict[str, Any]:
        return measure_points(config, [rung], network, images, compute)[0]

    return network, measure, card


def images_of_test(card: dict[str, Any]) -> Batches:
    """Return the batches of test images that the point of ``card`` was measured on, on the CPU."""
    config, device = _config(card["point"]), torch.device("cpu")
    images = load_images(config.data, config.seed, device)
    return evaluation_batches(images, Compute.of(config.device, device))


def _config(row: dict[str, Any]) -> TrialConfig:
    return TrialConfig.model_validate_json(row["config"])


def _rung(row: dict[str, Any]) -> Rung:
    return Rung(**{name: row[name] for name in Rung.model_fields})


def _rebuilt(config: TrialConfig, stored: dict[str, Any]) -> tuple[Network, Images, Compute]:
    images = load_images(config.data, config.seed, local_device())
    network, compute = load_network(config, stored, images), Compute.of(config.device, local_device())
    compute.place(network)
    return network, images, compute


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ResultsError(f"a folder must be writable, but got {folder}: {error.strerror}") from None
