"""Taking a network away: a folder that needs nothing of this project's record, and little of its code.

FOLDER/
    weights.pt      state dict and genotype, read with ``torch.load(weights_only=True)``
    program.pt2     the network as a ``torch.export`` program, batch size free (needs torch alone)
    genotype.json   the architecture
    card.json       the row of the point: configuration, costs, versions
    load.py         loads the weights, filters the feature maps as the point says, and measures the accuracy
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch

from results import ResultsError, RunDirectory
from search_space import Network
from trials import checkpoint
from trials.compute import Compute
from trials.config import Rung, TrialConfig
from trials.data import Images, load_images
from trials.parallel import local_device
from trials.points import measure_points
from trials.trial import load_network

SCRIPT = '''"""Load the exported network and measure the accuracy of its point again."""

from pathlib import Path

from trials.export import load_exported

network, measure, card = load_exported(Path(__file__).parent)
measured = measure()
print(f"accuracy of the point: {card['accuracy']:.4f}, measured now: {measured['accuracy']:.4f}")
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


def export_point(directory: RunDirectory, point: str, folder: Path | None = None) -> Path:
    """Write the network behind ``point`` to ``folder`` (default: the point's name) and return the folder.

    Raises:
        PointError: the run holds no such point.
        ResultsError: its network was not stored.
    """
    row = find_point(directory, point)
    folder = folder or Path(row["point"])
    stored = checkpoint.unpack(directory.read_network(row["trial_key"]))
    config = TrialConfig.model_validate_json(row["config"])
    network, images = _rebuild(config, stored)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "weights.pt").write_bytes(
        checkpoint.pack({key: stored[key] for key in ("genotype", "network")})
    )
    (folder / "genotype.json").write_text(stored["genotype"] + "\n")
    (folder / "card.json").write_text(json.dumps(row, indent=1, default=str) + "\n")
    (folder / "load.py").write_text(SCRIPT)
    images_in = torch.zeros(2, *images.shape, dtype=next(network.parameters()).dtype)
    program = torch.export.export(
        network.cpu(), (images_in,), dynamic_shapes={"images": {0: torch.export.Dim("batch", min=1)}}
    )
    torch.export.save(program, folder / "program.pt2")
    return folder


def load_exported(folder: Path) -> tuple[Network, Any, dict[str, Any]]:
    """Load what :func:`export_point` wrote.

    Returns:
        The network in evaluation mode; a function that measures the point's columns again on the test images;
        the card.
    """
    card = json.loads((folder / "card.json").read_text())
    config = TrialConfig.model_validate_json(card["config"])
    network, images = _rebuild(config, checkpoint.unpack((folder / "weights.pt").read_bytes()))
    compute = Compute.of(config.device, local_device())
    compute.place(network)
    rung = Rung(**{name: card[name] for name in Rung.model_fields})

    def measure() -> dict[str, Any]:
        return measure_points(config, [rung], network, images, compute)[0]

    return network, measure, card


def _rebuild(config: TrialConfig, stored: dict[str, Any]) -> tuple[Network, Images]:
    images = load_images(config.data, config.seed, local_device())
    return load_network(config, stored, images), images
