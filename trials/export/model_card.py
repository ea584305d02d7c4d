"""What an exported network says of itself: for programs as JSON, for people as Markdown."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from trials.config import TrialConfig
from trials.data.loading import Images


def card_of(row: Mapping[str, Any], images: Images) -> dict[str, Any]:
    """Return the card of a point: its row, and what the network takes and gives."""
    config = TrialConfig.model_validate_json(row["config"])
    exact = config.device.precision == "float64"
    return {
        "point": {**row, "finished_at": str(row["finished_at"])},
        "input": {
            "name": "images",
            "dtype": "float64" if exact else "float32",
            "shape": ["batch", *images.shape],
            "mean": images.mean.tolist(),
            "std": images.std.tolist(),
        },
        "output": {"name": "logits", "shape": ["batch", images.classes]},
    }


ROWS = {
    "accuracy": "accuracy on the test images",
    "macs": "multiply-adds an image",
    "effective_macs": "multiply-adds whose feature is not zero",
    "params": "parameters",
    "weight_bytes": "weights as stored, bytes",
    "feature_map_bytes": "feature maps as stored, bytes an image",
    "memory_bytes": "weights and peak live feature maps as stored, bytes",
    "sparsity": "share of zero features",
    "splitting": "splitting parameter s",
    "regularization": "regularization weight lambda",
    "threshold": "pruning threshold tau",
    "weight_bits": "bits of a weight",
    "feature_map_bits": "bits of a feature",
    "codec": "codec of the stored sizes",
}


def as_markdown(card: Mapping[str, Any]) -> str:
    """Return the card as a page: what the network is, what it costs, how to use it."""
    point, images = card["point"], card["input"]
    numbers = "\n".join(f"| {said} | {_shown(point[name])} |" for name, said in ROWS.items())
    versions = ", ".join(f"{name} {version}" for name, version in json.loads(point["versions"]).items())
    onnx = card.get("onnx")
    return f"""\
# Point {point["point"]}

A network of the sweep `{point["sweep"]}`: space {point["space"]}, {point["network_cells"]} cells, node width
{point["network_channels"]}, output node {point["output_node"]}, trained on {point["data"]} for
{point["train_epochs"]} epochs. Pruning threshold and precisions are part of `program.pt2`.

| | |
|---|---|
{numbers}

Computed with {versions} on {point["device"]}.

## Use

    program = torch.export.load("program.pt2").module()
    logits = program(images)  # {images["dtype"]} {images["shape"]}, batches of any size

Images are scaled to 0..1, then shifted by the mean {_list(images["mean"])} and divided by the deviation
{_list(images["std"])} of their channels. `python load.py` measures the accuracy again; it needs shrinksweep for the
test images. The program alone needs nothing but torch. `weights.pt` and `genotype.json` are the network as it was
trained, before quantization, for those who want to go on with it: `trials.export.load_exported`.
{"" if onnx is None else _onnx(onnx)}"""


def _onnx(measured: Mapping[str, Any]) -> str:
    return f"""
`network.onnx` is the same program. By onnxruntime its accuracy is {measured["accuracy"]:.4f}; the logits differ from
torch's by {measured["largest_difference"]:.2g} at most, noticeably for {measured["differing"]:.1%} of the images.
"""


def _shown(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def _list(values: list[float]) -> str:
    return ", ".join(f"{value:.4f}" for value in values)
