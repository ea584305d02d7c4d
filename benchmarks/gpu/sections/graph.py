"""Graph: captured steps equal eager steps, bit for bit.

Two searches of the same seed run two epochs of ten steps, one with ``device.graph``, one without. The learning rate
changes between the epochs. Then weights, alphas, running statistics and the states of both optimizers are compared.

Both use deterministic algorithms: otherwise even two eager searches may differ. Whether they do is recorded.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from benchmarks.gpu.day import Day
from benchmarks.gpu.numerics import described, differences
from benchmarks.gpu.settings import SMALL, TINY
from benchmarks.gpu.ways import way, why_not_fused
from benchmarks.gpu.workload import device_option, search, trial_config

KINDS: dict[str, dict[str, Mapping[str, object]]] = {
    "first order": {},
    "bf16": {"device": {"precision": "bf16"}},
    "warm-up of one epoch": {"search": {"alpha_warmup_epochs": 1}},
    "cost pressure": {"search": {"cost_pressure": 0.1}},
    "lambda in the search": {"feature_maps": {"regularization": 1e-3, "in_search": True}},
    "PC-DARTS": {"search": {"algorithm": "pc_darts"}},
    "second order": {"search": {"algorithm": "darts_second_order"}},
}
FUSED = "first order, fused stages"


def measure(day: Day) -> None:
    """Compare every kind of search that can be captured."""
    if not device_option("graph"):
        day.not_measured("graph_equal", "device.graph is not there")
        day.check("captured steps equal eager ones", None, "device.graph is not there")
        return
    equal = True
    kinds = dict(KINDS) if not day.tiny else dict(list(KINDS.items())[:1])
    if day.on_gpu and not why_not_fused():
        kinds[FUSED] = {}
    for name, blocks in kinds.items():
        if day.left() < day.pick(4.0, 0.0):
            day.check(f"captured steps equal eager ones, {name}", None, "no time left")
            continue
        with day.attempt(f"captured steps equal eager ones, {name}", check=True), way(name == FUSED):
            eager, captured = (_state(day, blocks, graph) for graph in (False, True))
            found = list(differences(eager, captured))
            equal = equal and not found
            day.check(f"captured steps equal eager ones, {name}", not found, described(found))
            day.figure("graph_equal", float(equal))
    if day.on_gpu and day.left() > 6.0:
        _record_default(day)


def _record_default(day: Day) -> None:
    """Record what torch's default algorithms do: how an eager search differs from itself, and from a captured one."""
    with day.attempt("default algorithms"):
        one, again, captured = (_state(day, {}, graph, deterministic=False) for graph in (False, False, True))
        rows = [["the same search again", described(differences(one, again))]]
        rows.append(["captured", described(differences(one, captured))])
        day.table("default algorithms, against an eager search", ("search", "differences"), rows)


def _state(
    day: Day, blocks: dict[str, Mapping[str, object]], graph: bool, deterministic: bool = True
) -> dict[str, Any]:
    """Return the state of a search after two epochs."""
    device = {"deterministic": deterministic} if device_option("deterministic") else {}
    blocks = {**blocks, "device": {**blocks.get("device", {}), **device, "graph": graph}}
    config = trial_config(day.pick(SMALL, TINY), "float32", **blocks)
    phase = search(config, day.device, day.pick(10, 2))
    phase.run_epoch(0)
    phase.run_epoch(1)
    return phase.state_dict()
