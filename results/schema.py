"""The columns of the tables: name, type, unit and meaning, in one explicit Arrow schema a table.

Text with few different values is dictionary-encoded, so pandas reads it as a categorical. A column is nullable only if
it may not be measured; "not measured" is null, never 0 or -1. Columns that hold a time or a host are *volatile*: only
they may differ between two identical runs.
"""

from __future__ import annotations

import sys
from collections.abc import Container

import pyarrow as pa

from results.states import MEANINGS

VERSION = 3
"""Version of the three schemas. A later version only adds columns."""

VERSION_KEY = b"shrinksweep.schema_version"
TABLE_KEY = b"shrinksweep.table"

MAX_DIGITS = 19
"""Numbers in metadata have fewer digits: Python refuses to convert thousands of them."""

TEXT = pa.string()
LABEL = pa.dictionary(pa.int32(), pa.string())
"""Text with few different values."""
INT = pa.int32()
LONG = pa.int64()
REAL = pa.float64()
BYTES = pa.binary()
TIME = pa.timestamp("us", tz="UTC")


def _column(
    name: str,
    kind: pa.DataType,
    description: str,
    *,
    unit: str = "",
    null: bool = False,
    volatile: bool = False,
) -> pa.Field:
    metadata = {"description": description, "unit": unit}
    if volatile:
        metadata["volatile"] = "true"
    return pa.field(name, kind, nullable=null, metadata=metadata)


def _table(name: str, *columns: pa.Field) -> pa.Schema:
    return pa.schema(columns, metadata={TABLE_KEY: name.encode(), VERSION_KEY: str(VERSION).encode()})


_POINT_TAP = pa.struct(
    [
        pa.field("tap", TEXT, nullable=False),
        pa.field("elements", LONG, nullable=False),
        pa.field("sparsity", REAL, nullable=False),
        pa.field("mean_magnitude", REAL, nullable=False),
        pa.field("bytes", REAL, nullable=False),
        pa.field("threshold", REAL),
    ]
)
_PROGRESS_TAP = pa.struct(
    [
        pa.field("tap", TEXT, nullable=False),
        pa.field("sparsity", REAL, nullable=False),
        pa.field("mean_magnitude", REAL, nullable=False),
    ]
)

POINTS = _table(
    "points",
    _column("point", TEXT, "name of the point: `<trial_key>-<rung>`, the rung with two digits"),
    _column("trial_key", TEXT, "name of the trial: 16 hex digits of its configuration and seed"),
    _column("trial_index", INT, "index of the trial in the ledger, from 0"),
    _column("rung", INT, "index of the point in the trial's ladder, from 0"),
    _column("seed", LONG, "seed of weights, data order and augmentation"),
    _column("sweep", LABEL, "name of the sweep"),
    _column("space", LABEL, "search space"),
    _column("cells", INT, "cells of the supernet", unit="cells"),
    _column("channels", INT, "node width of the supernet's first cell", unit="channels"),
    _column("nodes", INT, "intermediate nodes of a cell", unit="nodes"),
    _column("output_node", LABEL, "how the output node joins the intermediate nodes"),
    _column("splitting", INT, "s: splitting parameter of the output node"),
    _column("width_growth", REAL, "factor on the node width of every cell", unit="factor"),
    _column("network_cells", INT, "cells of the discrete network", unit="cells"),
    _column("network_channels", INT, "node width of the discrete network's first cell", unit="channels"),
    _column("data", LABEL, "source of the images"),
    _column("data_fingerprint", LABEL, "digest of all images and labels of the source", null=True),
    _column("algorithm", LABEL, "search algorithm"),
    _column("search_epochs", INT, "epochs of the supernet search", unit="epochs"),
    _column("train_epochs", INT, "epochs of the discrete network's training", unit="epochs"),
    _column("finetune_epochs", INT, "epochs of all fine-tunings after it", unit="epochs", null=True),
    _column("regularization", REAL, "lambda: weight of the feature-map term in the loss"),
    _column("measure", LABEL, "what the feature-map term sums over the taps"),
    _column("threshold", REAL, "tau: features of smaller magnitude are zero at inference", unit="feature"),
    _column(
        "threshold_mode",
        LABEL,
        "unit of tau: `absolute`: a feature; `relative`: the mean magnitude of each tap; `share`: the share of each "
        "tap's features that is zero; `error`: the error of the layer that reads the map; `budget`: the share of "
        "effective macs that is left",
    ),
    _column("weight_bits", INT, "bits of a weight; 32: not quantized", unit="bits"),
    _column("feature_map_bits", INT, "bits of a feature; 32: not quantized", unit="bits"),
    _column("calibration", LABEL, "how the ranges of quantizers are chosen; null: `minmax`", null=True),
    _column("correction", LABEL, "what corrects the quantization: `none`, `bias`; null: `none`", null=True),
    _column(
        "outer_bits",
        INT,
        "bits of the first and last layer's weights and of the last layer's input; null: those of all others",
        unit="bits",
        null=True,
    ),
    _column("codec", LABEL, "code of the quantized weights and feature maps"),
    _column("accuracy", REAL, "share of the validation images classified correctly", unit="fraction"),
    _column("loss", REAL, "mean cross-entropy on the validation images", unit="nats"),
    _column(
        "validation_images",
        INT,
        "images of `accuracy`, `loss` and all means over images; 0 or null: those are of the test images",
        unit="images",
        null=True,
    ),
    _column(
        "test_accuracy", REAL, "share of the test images classified correctly", unit="fraction", null=True
    ),
    _column("test_loss", REAL, "mean cross-entropy on the test images", unit="nats", null=True),
    _column("test_images", INT, "test images", unit="images", null=True),
    _column(
        "correct",
        BYTES,
        "which test images are classified correctly: a bit an image, the first in the highest bit of the first byte",
        null=True,
    ),
    _column("macs", LONG, "multiply-adds of one inference", unit="macs/image"),
    _column("flops", LONG, "floating-point operations of one inference: 2 x macs", unit="flops/image"),
    _column("effective_macs", REAL, "macs whose feature-map operand is not zero, mean", unit="macs/image"),
    _column(
        "effective_macs_groups_4",
        REAL,
        "`effective_macs` if only groups of 4 neighbouring channels are skipped, zero together at a position",
        unit="macs/image",
        null=True,
    ),
    _column(
        "effective_macs_groups_8", REAL, "the same for groups of 8 channels", unit="macs/image", null=True
    ),
    _column(
        "effective_macs_channels",
        REAL,
        "the same for whole channels, zero at all positions of an image",
        unit="macs/image",
        null=True,
    ),
    _column(
        "effective_macs_fused",
        REAL,
        "`effective_macs` if attention is one kernel, which computes all T x T probabilities",
        unit="macs/image",
        null=True,
    ),
    _column("params", LONG, "parameters of the discrete network", unit="parameters"),
    _column("weight_bytes", REAL, "weights as stored", unit="bytes"),
    _column(
        "feature_map_bytes", REAL, "sum over the taps as stored, mean over the images", unit="bytes/image"
    ),
    _column(
        "feature_map_bytes_fused",
        REAL,
        "`feature_map_bytes` without attention probabilities",
        unit="bytes/image",
        null=True,
    ),
    _column(
        "peak_bytes",
        REAL,
        "weights + largest set of live feature maps, one image, dense, float32 unless quantized",
        unit="bytes",
    ),
    _column(
        "peak_bytes_fused",
        REAL,
        "`peak_bytes` if attention is one kernel, which never holds the T x T probabilities",
        unit="bytes",
        null=True,
    ),
    _column(
        "memory_bytes",
        REAL,
        "weights as stored + peak live feature maps as stored, of the calibration image that needs most",
        unit="bytes",
    ),
    _column(
        "memory_bytes_mean",
        REAL,
        "`memory_bytes`, but the mean over the calibration images",
        unit="bytes",
        null=True,
    ),
    _column(
        "memory_bytes_fused",
        REAL,
        "`memory_bytes` if attention is one kernel, which never holds the T x T probabilities",
        unit="bytes",
        null=True,
    ),
    _column("sparsity", REAL, "share of zero features over all taps", unit="fraction"),
    _column("weight_sparsity", REAL, "share of zero weights", unit="fraction"),
    _column(
        "entropy_bytes", REAL, "Shannon bound of the quantized feature maps", unit="bytes/image", null=True
    ),
    _column(
        "latency_1_ms",
        REAL,
        "median inference time of a batch of 1, as deployed at this rung",
        unit="ms",
        null=True,
        volatile=True,
    ),
    _column(
        "latency_1_spread_ms",
        REAL,
        "interquartile range of the inference times of a batch of 1",
        unit="ms",
        null=True,
        volatile=True,
    ),
    _column(
        "latency_64_ms",
        REAL,
        "median inference time of a batch of 64, as deployed at this rung",
        unit="ms",
        null=True,
        volatile=True,
    ),
    _column(
        "latency_64_spread_ms",
        REAL,
        "interquartile range of the inference times of a batch of 64",
        unit="ms",
        null=True,
        volatile=True,
    ),
    _column(
        "latency_host",
        LABEL,
        "host on which all rungs of the trial were timed, together",
        null=True,
        volatile=True,
    ),
    _column(
        "search_peak_bytes",
        LONG,
        "most memory that torch had allocated on the GPU in the search, without the CUDA context",
        unit="bytes",
        null=True,
    ),
    _column("skip_share", REAL, "share of skip connections among the genotype's edges", unit="fraction"),
    _column("genotype", LABEL, "the derived architecture, as JSON"),
    _column("config", LABEL, "the complete trial configuration, as canonical JSON"),
    _column(
        "taps",
        pa.list_(pa.field("item", _POINT_TAP, nullable=False)),
        "measurements of each feature-map tap; `threshold`: features of smaller magnitude are zero",
    ),
    _column("versions", LABEL, "versions of the software that computed the point, as JSON"),
    _column(
        "numerics",
        LABEL,
        "number format, with the settings of a GPU: such as `float32`, `float32+tf32`, `bf16+deterministic`",
        null=True,
    ),
    _column("device", LABEL, "device the trial ran on", volatile=True),
    _column("host", LABEL, "host of the trial's first worker", volatile=True),
    _column("search_s", REAL, "wall time of the search", unit="s", volatile=True),
    _column("train_s", REAL, "wall time of the training and the fine-tunings", unit="s", volatile=True),
    _column("ladder_s", REAL, "wall time of the whole ladder", unit="s", volatile=True),
    _column("finished_at", TIME, "when the trial's points were computed", unit="UTC", volatile=True),
)
"""One row a ladder rung: one trained network at one threshold, precision and codec."""

PROGRESS = _table(
    "progress",
    _column("trial_key", TEXT, "name of the trial"),
    _column("trial_index", INT, "index of the trial in the ledger, from 0"),
    _column("seed", LONG, "seed of weights, data order and augmentation"),
    _column("data_fingerprint", LABEL, "digest of all images and labels of the source", null=True),
    _column("step", INT, "epochs done in the trial, over all phases, from 1", unit="epochs"),
    _column("phase", LABEL, "`search`, `train` or `finetune`"),
    _column("epoch", INT, "epochs done in this phase, from 1", unit="epochs"),
    _column("epochs", INT, "epochs of this phase in total", unit="epochs"),
    _column("loss", REAL, "mean loss on the training images of this epoch", unit="nats"),
    _column("accuracy", REAL, "share of the epoch's training images classified correctly", unit="fraction"),
    _column("validation_loss", REAL, "mean loss on the validation half", unit="nats", null=True),
    _column("validation_accuracy", REAL, "accuracy on the validation half", unit="fraction", null=True),
    _column("learning_rate", REAL, "learning rate of the weights in this epoch"),
    _column("regularization_term", REAL, "mean feature-map term, without lambda", null=True),
    _column("alpha_entropy", REAL, "entropy of the mixture weights, mean over edges", unit="nats", null=True),
    _column(
        "skip_share", REAL, "share of skip connections in the current genotype", unit="fraction", null=True
    ),
    _column("expected_macs", REAL, "macs under the mixture weights", unit="macs/image", null=True),
    _column(
        "effective_macs",
        REAL,
        "macs whose feature-map operand is not zero, of the network in training, at inference, mean over one batch",
        unit="macs/image",
        null=True,
    ),
    _column("genotype", TEXT, "the architecture that the current alphas stand for, as JSON", null=True),
    _column(
        "taps",
        pa.list_(pa.field("item", _PROGRESS_TAP, nullable=False)),
        "measurements of each tap",
        null=True,
    ),
    _column("epoch_s", REAL, "wall time of the epoch", unit="s", volatile=True),
    _column("images_per_s", REAL, "training images per second, all workers", unit="images/s", volatile=True),
    _column(
        "peak_bytes",
        LONG,
        "most memory that torch had allocated on the GPU so far in the phase, without the CUDA context",
        unit="bytes",
        null=True,
        volatile=True,
    ),
    _column("host", LABEL, "host of the trial's first worker", volatile=True),
    _column("at", TIME, "end of the epoch", unit="UTC", volatile=True),
)
"""One row an epoch."""

TRIALS = _table(
    "trials",
    _column("trial_index", INT, "index of the trial in the ledger, from 0"),
    _column("trial_key", TEXT, "name of the trial"),
    _column("seed", LONG, "seed of weights, data order and augmentation"),
    _column("state", LABEL, "; ".join(f"`{state}`: {meaning}" for state, meaning in MEANINGS.items())),
    _column("phase", LABEL, "phase of the last epoch: `search`, `train` or `finetune`", null=True),
    _column("epochs_done", INT, "epochs done over all phases", unit="epochs"),
    _column("epochs", INT, "epochs configured, over all phases", unit="epochs", null=True),
    _column("points", INT, "points on storage", unit="points"),
    _column("attempts_failed", INT, "attempts that failed", unit="attempts"),
    _column("reason", TEXT, "why the last failed attempt failed, or why the trial is infeasible", null=True),
    _column("failures", pa.list_(TEXT), "why each failed attempt failed, oldest first"),
    _column("config", LABEL, "the complete trial configuration, as JSON"),
    _column("elapsed_s", REAL, "wall time of all phases so far", unit="s", volatile=True),
    _column("host", LABEL, "host of the last epoch", null=True, volatile=True),
    _column("last_at", TIME, "end of the last epoch, or of the trial", unit="UTC", null=True, volatile=True),
)
"""One row a trial: the ledger joined with progress and points. Computed, never stored."""

TABLES = {"points": POINTS, "progress": PROGRESS, "trials": TRIALS}

_COLUMN_OF_PATH = {
    "space.name": "space",
    "data.name": "data",
    "search.algorithm": "algorithm",
    "feature_maps.regularization": "regularization",
    "feature_maps.measure": "measure",
    "train.cells": "network_cells",
    "train.channels": "network_channels",
    **{f"space.{name}": name for name in ("cells", "channels", "nodes", "output_node", "splitting")},
    "space.width_growth": "width_growth",
    **{
        f"ladder.{name}": name
        for name in ("threshold", "threshold_mode", "calibration", "correction", "outer_bits", "codec")
    },
    **{f"ladder.{name}_bits": f"{name}_bits" for name in ("weight", "feature_map")},
}


SHORT_NAMES = {
    "s": "splitting",
    "lambda": "regularization",
    "tau": "threshold",
    "tau_mode": "threshold_mode",
    "map_bits": "feature_map_bits",
}
"""Columns by the names that tables and figures show."""


def column_of_path(path: str) -> str:
    """Return the column of the configuration's field ``path``; swept fields without a column of their own get one.

    A short name, as tables show it, is its column. Every other name is returned as it is. ``trial.``, with which sweep
    files begin the path, may be left out.

    >>> column_of_path("space.splitting"), column_of_path("search.epochs"), column_of_path("train.momentum")
    ('splitting', 'search_epochs', 'train_momentum')
    >>> column_of_path("lambda"), column_of_path("accuracy")
    ('regularization', 'accuracy')
    """
    path = path.removeprefix("trial.")
    return _COLUMN_OF_PATH.get(path) or SHORT_NAMES.get(path) or path.replace(".", "_")


def column_in(name: str, columns: Container[str]) -> str:
    """Return the one of ``columns`` that ``name`` stands for, see ``column_of_path``; ``name`` itself if it is one."""
    return name if name in columns else column_of_path(name)


def path_of_column(column: str) -> str | None:
    """Return the configuration's field that a column holds, where the two have different names.

    >>> path_of_column("tau"), path_of_column("regularization"), path_of_column("accuracy")
    ('ladder.threshold', 'feature_maps.regularization', None)
    """
    named = column_of_path(column)
    return next((path for path, name in _COLUMN_OF_PATH.items() if name == named), None)


def paths_of(swept: str) -> tuple[str, ...]:
    """Return the fields that a key of a sweep file's ``sweep`` names; several if they are swept together.

    >>> paths_of("space.output_node, space.splitting")
    ('space.output_node', 'space.splitting')
    """
    return tuple(path.strip() for path in swept.split(","))


def volatile_columns(schema: pa.Schema) -> list[str]:
    """Return the names of the columns that may differ between two identical runs (times, hosts)."""
    return [field.name for field in schema if (field.metadata or {}).get(b"volatile") == b"true"]


def bare(schema: pa.Schema) -> pa.Schema:
    """Return ``schema`` without column descriptions, as small files store it."""
    return pa.schema([field.remove_metadata() for field in schema], metadata=schema.metadata)


def schema_version(schema: pa.Schema) -> int | None:
    """Return the schema version of a stored table; None if the table is not ours."""
    text = (schema.metadata or {}).get(VERSION_KEY)
    return int(text) if text is not None and text.isdigit() and len(text) < MAX_DIGITS else None


def describe(schema: pa.Schema) -> str:
    """Return the columns of ``schema`` as a Markdown table: name, type, unit, null, volatile, meaning."""
    lines = ["| column | type | unit | null | volatile | meaning |", "|---|---|---|---|---|---|"]
    for field in schema:
        notes = {key.decode(): value.decode() for key, value in field.metadata.items()}
        marks = ["yes" if field.nullable else "", "yes" if "volatile" in notes else ""]
        cells = [f"`{field.name}`", type_name(field.type), notes["unit"], *marks, notes["description"]]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def type_name(kind: pa.DataType) -> str:
    """Return a short name of an Arrow type: ``text``, ``label`` (text with few values), ``list<...>``, ..."""
    if pa.types.is_dictionary(kind):
        return "label"
    if pa.types.is_string(kind):
        return "text"
    if pa.types.is_binary(kind):
        return "bytes"
    if pa.types.is_list(kind):
        return f"list<{type_name(kind.value_type)}>"
    if pa.types.is_struct(kind):
        return "struct<" + ", ".join(f"{field.name} {type_name(field.type)}" for field in kind) + ">"
    return str(kind)


if __name__ == "__main__":
    sys.stdout.write("\n".join(f"## {name}\n\n{describe(schema)}" for name, schema in TABLES.items()))
