"""Export of the network of a point to a folder that does not need the run directory.

FOLDER/
    program.pt2     the network of the point as a ``torch.export`` program for any batch size; needs only torch
    weights.pt      state dict and genotype as trained, for ``torch.load(weights_only=True)``
    genotype.json   the architecture
    card.json       the row of the point (configuration, costs, versions), and the program's input and output
    README.md       the card as text
    load.py         loads the program and measures the accuracy of the point again
    network.onnx    the program for onnxruntime, if requested
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path

import torch

from results import ResultsError, RunDirectory
from results.paths import local_path
from results.record_types import PointRow
from results.tables.point_names import fitting
from search_space import Network
from trials.checkpointing import checkpoint
from trials.config import Rung, TrialConfig, of_record
from trials.data.batches import Batches
from trials.data.loading import Images, load_images
from trials.device.compute import Compute
from trials.device.parallel import local_device
from trials.export.model_card import Card, as_markdown, card_of
from trials.export.onnx_export import require_onnx, write_onnx
from trials.export.portable import as_program, portable
from trials.ladder.preparation import Preparation
from trials.points import Columns, calibration_batches, evaluation_batches, measure_points
from trials.trial import load_network

SCRIPT = '''"""Load the exported program and measure the test accuracy of its point again."""

import json
from pathlib import Path

import torch
from trials.export import images_of_test

folder = Path(__file__).parent
card = json.loads((folder / "card.json").read_text())
program = torch.export.load(folder / "program.pt2").module()
right = torch.cat([program(images).argmax(1) == labels for images, labels in images_of_test(card).epoch()])
accuracy = right.double().mean().item()
print(f"test accuracy of the point: {card['point']['test_accuracy']:.4f}, measured now: {accuracy:.4f}")
'''


class PointError(ResultsError):
    """A point name that matches no point of a run, or several."""


def find_point(directory: RunDirectory, point: str) -> PointRow:
    """Return the row of ``point``: its full name, or a prefix of the trial key followed by ``-`` and the rung.

    Raises:
        PointError: no point matches, or more than one.
    """
    table = directory.read_points()
    names = table["point"].to_pylist()
    matches = fitting(names, point)
    if len(matches) != 1:
        known = f"it holds {len(names)} points, such as {names[0]}" if names else "it holds none yet"
        count = "no such point" if not matches else f"{len(matches)} of that name"
        raise PointError(f"POINT must name one point of {directory.uri}, but got {point!r}: {count}; {known}")
    row: PointRow = table.slice(matches[0], 1).to_pylist()[0]
    return row


def export_point(
    directory: RunDirectory,
    point: str,
    folder: str | os.PathLike[str] | None = None,
    *,
    onnx: bool = False,
) -> Path:
    """Write the network of a point to a folder.

    Args:
        directory: the run.
        point: name of the point (:func:`find_point`).
        folder: the folder to create; None: named after the point, in the working directory.
        onnx: also write ``network.onnx``.

    Returns:
        The folder.

    Raises:
        PointError: no point of the run matches, or more than one.
        NotStoredError: the run does not hold the network of the trial.
        OnnxError: packages for ONNX are missing, or the network cannot be written as ONNX.
        ResultsError: the folder is not writable.
    """
    if onnx:
        require_onnx()
    row = find_point(directory, point)
    folder = local_path(folder or row["point"])
    stored = checkpoint.unpack(directory.read_network(row["trial_key"]))
    config, rung = _config(row), Rung.of_row(row)
    network, images, compute = _rebuild(config, stored)
    preparation = Preparation(network, calibration_batches(images, compute), compute)
    known = {tap["tap"]: tap.get("threshold") for tap in row["taps"]}
    thresholds = {name: threshold for name, threshold in known.items() if threshold is not None}
    if thresholds:  # those that the point was measured with
        preparation.freeze(rung, thresholds)
    card = card_of(row, images)
    example = torch.zeros(2, *images.shape, dtype=compute.dtype)
    _create(folder)
    if onnx:
        explicit = portable(preparation, rung, explicit_attention=True)
        test_batches = evaluation_batches(images, compute).epoch()
        card["onnx"] = write_onnx(explicit, test_batches, folder / "network.onnx")
    torch.export.save(as_program(portable(preparation, rung), example), folder / "program.pt2")
    (folder / "weights.pt").write_bytes(
        checkpoint.pack({key: value for key, value in stored.items() if key != "format"})
    )
    (folder / "genotype.json").write_text(stored["genotype"] + "\n")
    (folder / "card.json").write_text(json.dumps(card, indent=1) + "\n")
    (folder / "README.md").write_text(as_markdown(card))
    (folder / "load.py").write_text(SCRIPT)
    return folder


def load_exported(path: str | os.PathLike[str]) -> tuple[Network, Callable[[], Columns], Card]:
    """Load the network as trained, before quantization, from a folder that :func:`export_point` wrote.

    Returns:
        The network in evaluation mode; a function that measures the columns of the point again; the card.
    """
    folder = Path(path)
    card: Card = json.loads((folder / "card.json").read_text())
    config, rung = _config(card["point"]), Rung.of_row(card["point"])
    network, images, compute = _rebuild(config, checkpoint.unpack((folder / "weights.pt").read_bytes()))

    def measure() -> Columns:
        return measure_points(config, [rung], network, images, compute)[0]

    return network, measure, card


def images_of_test(card: Card) -> Batches:
    """Return the test batches, on the CPU, on which the point of ``card`` was measured.

    Exported ``load.py`` scripts import this function: name and behaviour must not change.
    """
    config, device = _config(card["point"]), torch.device("cpu")
    images = load_images(config.data, config.seed, device)
    return evaluation_batches(images, Compute.of(config.device, device))


def _config(row: Mapping[str, object]) -> TrialConfig:
    return of_record(TrialConfig, json.loads(str(row["config"])))


def _rebuild(config: TrialConfig, stored: checkpoint.State) -> tuple[Network, Images, Compute]:
    images = load_images(config.data, config.seed, local_device())
    network, compute = load_network(config, stored, images), Compute.of(config.device, local_device())
    compute.place(network)
    return network, images, compute


def _create(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ResultsError(f"a folder must be writable, but got {folder}: {error.strerror}") from None
