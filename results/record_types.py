"""Types of what a run stores: one row of each table, and JSON objects.

``results.schema`` describes every column. Nullable columns may be left out of a row that is written; rows that are read
hold them all.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, NotRequired, TypeAlias, TypedDict

from results.states import TrialState

JsonObject: TypeAlias = dict[str, Any]
"""A JSON object: text keys; values are null, booleans, numbers, text, lists and objects."""


class PointTap(TypedDict):
    """One feature-map tap of a point."""

    tap: str
    elements: int
    sparsity: float
    mean_magnitude: float
    bytes: float
    threshold: NotRequired[float | None]


class ProgressTap(TypedDict):
    """One feature-map tap of an epoch."""

    tap: str
    sparsity: float
    mean_magnitude: float


class PointRow(TypedDict):
    """A row of ``results.schema.POINTS``: one rung of a trial's ladder."""

    point: str
    trial_key: str
    trial_index: int
    rung: int
    seed: int
    sweep: str
    space: str
    cells: int
    channels: int
    nodes: int
    output_node: str
    splitting: int
    width_growth: float
    network_cells: int
    network_channels: int
    data: str
    data_fingerprint: NotRequired[str | None]
    algorithm: str
    search_epochs: int
    train_epochs: int
    finetune_epochs: NotRequired[int | None]
    regularization: float
    measure: str
    threshold: float
    threshold_mode: str
    weight_bits: int
    feature_map_bits: int
    calibration: NotRequired[str | None]
    correction: NotRequired[str | None]
    outer_bits: NotRequired[int | None]
    codec: str
    accuracy: float
    loss: float
    validation_images: NotRequired[int | None]
    test_accuracy: NotRequired[float | None]
    test_loss: NotRequired[float | None]
    test_images: NotRequired[int | None]
    correct: NotRequired[bytes | None]
    macs: int
    flops: int
    effective_macs: float
    effective_macs_groups_4: NotRequired[float | None]
    effective_macs_groups_8: NotRequired[float | None]
    effective_macs_channels: NotRequired[float | None]
    effective_macs_fused: NotRequired[float | None]
    params: int
    weight_bytes: float
    feature_map_bytes: float
    feature_map_bytes_fused: NotRequired[float | None]
    peak_bytes: float
    peak_bytes_fused: NotRequired[float | None]
    memory_bytes: float
    memory_bytes_mean: NotRequired[float | None]
    memory_bytes_fused: NotRequired[float | None]
    sparsity: float
    weight_sparsity: float
    entropy_bytes: NotRequired[float | None]
    latency_1_ms: NotRequired[float | None]
    latency_1_spread_ms: NotRequired[float | None]
    latency_64_ms: NotRequired[float | None]
    latency_64_spread_ms: NotRequired[float | None]
    latency_host: NotRequired[str | None]
    search_peak_bytes: NotRequired[int | None]
    skip_share: float
    genotype: str
    config: str
    taps: list[PointTap]
    versions: str
    numerics: NotRequired[str | None]
    device: str
    host: str
    search_s: float
    train_s: float
    ladder_s: float
    finished_at: datetime


class ProgressRow(TypedDict):
    """A row of ``results.schema.PROGRESS``: one epoch of a trial."""

    trial_key: str
    trial_index: int
    seed: int
    data_fingerprint: NotRequired[str | None]
    step: int
    phase: str
    epoch: int
    epochs: int
    loss: float
    accuracy: float
    validation_loss: NotRequired[float | None]
    validation_accuracy: NotRequired[float | None]
    learning_rate: float
    regularization_term: NotRequired[float | None]
    alpha_entropy: NotRequired[float | None]
    skip_share: NotRequired[float | None]
    expected_macs: NotRequired[float | None]
    effective_macs: NotRequired[float | None]
    genotype: NotRequired[str | None]
    taps: NotRequired[list[ProgressTap] | None]
    epoch_s: float
    images_per_s: float
    peak_bytes: NotRequired[int | None]
    host: str
    at: datetime


class TrialRow(TypedDict):
    """A row of ``results.schema.TRIALS``: one trial, from its ledger entry, progress and points."""

    trial_index: int
    trial_key: str
    seed: int
    state: TrialState
    phase: str | None
    epochs_done: int
    epochs: int | None
    points: int
    attempts_failed: int
    reason: str | None
    failures: list[str]
    config: str
    elapsed_s: float
    host: str | None
    last_at: datetime | None


def epochs_of(point: PointRow) -> int:
    """Return the epochs of all phases of the trial of a point."""
    return point["search_epochs"] + point["train_epochs"] + (point["finetune_epochs"] or 0)
