"""The model card of an exported network: as JSON for programs, as Markdown for people."""

from __future__ import annotations

import json
from textwrap import wrap
from typing import NotRequired, TypedDict

from results.record_types import JsonObject, PointRow
from trials.config import TrialConfig, of_record
from trials.data.loading import Images
from trials.export.onnx_export import OnnxCheck


class InputSpec(TypedDict):
    """Input of a program: images with pixels in 0..1, shifted by ``mean`` and divided by ``std`` of each channel."""

    name: str
    dtype: str
    shape: list[str | int]
    mean: list[float]
    std: list[float]


class OutputSpec(TypedDict):
    """Output of a program: the logits, one for each class."""

    name: str
    shape: list[str | int]
    classes: list[str]


class Card(TypedDict):
    """A model card; ``point`` is the row of the point as JSON: ``finished_at`` as text, ``correct`` in hex digits."""

    point: JsonObject
    input: InputSpec
    output: OutputSpec
    onnx: NotRequired[OnnxCheck]


def card_of(row: PointRow, images: Images) -> Card:
    """Return the card of the point ``row``, trained on ``images``."""
    config = of_record(TrialConfig, json.loads(row["config"]))
    correct = row.get("correct")
    tested: JsonObject = {"correct": None if correct is None else correct.hex()}
    if row.get("test_accuracy") is None:  # an older version: measured on the test images
        tested |= {"test_accuracy": row["accuracy"], "test_loss": row["loss"]}
    exact = config.device.precision == "float64"
    return {
        "point": {**row, **tested, "finished_at": str(row["finished_at"])},
        "input": {
            "name": "images",
            "dtype": "float64" if exact else "float32",
            "shape": ["batch", *images.shape],
            "mean": images.mean.tolist(),
            "std": images.std.tolist(),
        },
        "output": {
            "name": "logits",
            "shape": ["batch", images.classes],
            "classes": list(images.class_names),
        },
    }


ROWS = {
    "test_accuracy": "accuracy on the test images",
    "macs": "multiply-adds per image",
    "effective_macs": "multiply-adds per image whose feature is not zero",
    "params": "parameters",
    "weight_bytes": "weights as stored, bytes",
    "feature_map_bytes": "feature maps as stored, bytes per image",
    "memory_bytes": "weights and peak live feature maps as stored, bytes",
    "sparsity": "fraction of features that are zero",
    "splitting": "splitting parameter s",
    "regularization": "regularization weight lambda",
    "threshold": "pruning threshold tau",
    "weight_bits": "bits of a weight",
    "feature_map_bits": "bits of a feature",
    "codec": "codec of the stored sizes",
}
"""Columns of the point in the Markdown table, and their labels."""


def as_markdown(card: Card) -> str:
    """Return the card as Markdown: the network, its costs, and how to use it."""
    point, images = card["point"], card["input"]
    numbers = "\n".join(f"| {label} | {_formatted(point[name])} |" for name, label in ROWS.items())
    versions = ", ".join(f"{name} {version}" for name, version in json.loads(point["versions"]).items())
    onnx = card.get("onnx")
    return f"""\
# Point {point["point"]}

A network of the sweep `{point["sweep"]}`: space {point["space"]}, {point["network_cells"]} cells, node width
{point["network_channels"]}, output node {point["output_node"]}, trained on {point["data"]} for
{point["train_epochs"]} epochs. `program.pt2` includes the pruning threshold and the quantization.

| | |
|---|---|
{numbers}

Computed with {versions} on {point["device"]}.

## Use

    program = torch.export.load("program.pt2").module()
    logits = program(images)  # {images["dtype"]} {images["shape"]}, any batch size

{_classes(card["output"]["classes"])}

Scale images to 0..1, subtract the mean {_list(images["mean"])} of each channel, and divide by the standard deviation
{_list(images["std"])}. The program needs only torch. `python load.py` measures the accuracy again; it needs shrinksweep
for the test images. `weights.pt` and `genotype.json` hold the network as trained, before quantization:
`trials.export.load_exported` loads it, for example for further training.
{"" if onnx is None else _onnx(onnx)}"""


def _onnx(check: OnnxCheck) -> str:
    return f"""
`network.onnx` is the same program. Its accuracy with onnxruntime is {check["accuracy"]:.4f}. The logits differ from
those of torch by at most {check["largest_difference"]:.2g}, noticeably for {check["differing"]:.1%} of the images.
"""


def _classes(names: list[str]) -> str:
    """Return which logit is which class, in lines that Markdown joins."""
    listed = ", ".join(f"{index} {name}" for index, name in enumerate(names))
    return "\n".join(
        wrap(f"The logits are these classes, in this order: {listed}.", 120, break_long_words=False)
    )


def _formatted(value: object) -> str:
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def _list(values: list[float]) -> str:
    return ", ".join(f"{value:.4f}" for value in values)
