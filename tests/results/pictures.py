"""A run with enough variety for every figure: two seeds, three s, two lambda, three tau, two genotypes."""

from __future__ import annotations

import json
from typing import cast

from results import LedgerEntry, Run, RunDirectory
from results.record_types import JsonObject, PointRow
from tests.results.rows import config_of, epoch_rows, key_of, point_rows

SWEEP: JsonObject = {
    "name": "night",
    "objectives": {"accuracy": "max", "macs": "min", "memory_bytes": "min"},
    "sweep": {"space.splitting": [1, 2, 4], "feature_maps.regularization": [0.0, 0.001]},
}
VERSIONS = {"shrinksweep": "0.1.0", "torch": "2.13.0"}
NORMAL = [["sep_conv_3x3", 0], ["skip_connect", 1], ["max_pool_3x3", 2], ["dil_conv_5x5", 0]]
GENOTYPES = [
    {
        "normal": NORMAL,
        "normal_concat": [2, 3],
        "reduce": NORMAL[::-1][2:] + NORMAL[2:],
        "reduce_concat": [2, 3],
    },
    {"normal": [["self_attention_2h", 0], ["mlp_4x", 1]], "normal_concat": [2]},
]


def night(directory: RunDirectory, trials: int = 12, file: JsonObject = SWEEP, **changes: object) -> Run:
    """Fill a run directory; ``changes`` replace columns of all points."""
    directory.write_sweep(file, VERSIONS)
    for index in range(trials):
        splitting, weight, seed = 2 ** (index % 3), 0.001 * (index // 3 % 2), index // 6
        config = config_of(index, seed=seed, space__splitting=splitting, feature_maps__regularization=weight)
        directory.write_entry(LedgerEntry(index=index, key=key_of(index), seed=seed, config=config))
        directory.write_progress(key_of(index), epoch_rows(index, seed=seed))
        directory.write_points(key_of(index), ladder(index, splitting, weight, seed, **changes))
    return Run([directory])


def ladder(index: int, splitting: int, weight: float, seed: int, **changes: object) -> list[PointRow]:
    """The points of one trial along tau."""
    rows = point_rows(
        index, rungs=3, splitting=splitting, regularization=weight, seed=seed,
        genotype=json.dumps(GENOTYPES[index % 2]), macs=400 * splitting + 10 * seed,
    )  # fmt: skip
    for rung, row in enumerate(rows):
        row["sparsity"] = 0.3 + 0.15 * rung + 100 * weight
        row["accuracy"] = 0.8 + 0.04 * splitting - 0.02 * rung - 0.01 * seed
    return [cast(PointRow, {**row, **changes}) for row in rows]
