"""Thresholds by share, by error and by budget, against plain formulas in float64."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor, nn

from search_space import Network
from search_space.feature_map import Listener, listening, taps
from tests.trials.tiny import CPU, network_of
from trials.config import LadderConfig, Rung
from trials.cost.effective import EffectiveMacs
from trials.data.batches import Batch
from trials.device.compute import Compute
from trials.export.portable import portable
from trials.ladder.budget import Measured, Step, steps_of
from trials.ladder.layer_error import layer_errors, linear_readers, read_taps
from trials.ladder.preparation import Preparation
from trials.ladder.thresholds import some_of

COMPUTE = Compute(CPU, "float64")
KINDS = ["convolutions", "attention"]


def small(kind: str) -> Network:
    torch.manual_seed(1)
    return network_of(kind, torch.float64, cells=1 if kind == "attention" else 3)


def batches() -> list[Batch]:
    generator = torch.Generator().manual_seed(2)
    sizes = (6, 10)
    return [
        (torch.randn(size, 1, 8, 8, dtype=torch.float64, generator=generator), torch.zeros(size))
        for size in sizes
    ]


def rung(mode: str, threshold: float) -> Rung:
    return Rung(threshold=threshold, threshold_mode=mode, weight_bits=32, feature_map_bits=32, codec="best")


def thresholds(network: Network, mode: str, value: float) -> dict[str, float]:
    filters = Preparation(network, batches(), COMPUTE).filters(rung(mode, value))
    return {name: filter_.threshold for name, filter_ in filters.items()}


def pruning(tau: float, x: Tensor) -> Tensor:
    return x * (x.abs() >= tau)


def run(network: Network, listeners: dict[str, Listener]) -> tuple[Tensor, int]:
    """Return the logits and the effective macs of the calibration images."""
    effective = EffectiveMacs(network)
    with torch.no_grad(), effective.counting(listeners):
        return torch.cat([network(images) for images, _ in batches()]), effective.total()


@pytest.mark.parametrize("kind", KINDS)
def test_share_makes_that_share_of_every_read_map_zero(kind: str) -> None:
    network = small(kind)
    named, seen = taps(network), dict[str, list[Tensor]]()

    def record(name: str, x: Tensor) -> Tensor:
        seen.setdefault(name, []).append(named[name].features(x).flatten())
        return x

    run(network, {name: partial(record, name) for name in named})
    for name, tau in thresholds(network, "share", 0.6).items():
        x = torch.cat(seen[name])
        if named[name].waiting or float((x == 0).double().mean()) >= 0.6:
            assert tau == 0.0
        else:
            assert float((x.abs() < tau).double().mean()) == pytest.approx(0.6, abs=0.02 + 1 / len(x)), name


@pytest.mark.parametrize("kind", KINDS)
def test_errors_of_layers_are_those_of_the_formula(kind: str) -> None:
    network = small(kind)
    taus = dict.fromkeys(read_taps(network), 0.4)
    found = layer_errors(network, taus, batches(), COMPUTE)
    assert set(linear_readers(network)) | {n for n in taus if n.split(".")[-1] in PRODUCTS} == set(taus)
    for name in taus:
        outputs = {}
        for pruned in (False, True):
            kept: list[Tensor] = []
            reader = _reading_module(network, name)
            handle = reader.register_forward_hook(lambda _, __, out, kept=kept: kept.append(out))
            run(network, {name: partial(pruning, 0.4)} if pruned else {})
            handle.remove()
            outputs[pruned] = torch.cat([out.flatten() for out in kept])
        expected = (outputs[True] - outputs[False]).norm() / outputs[False].norm()
        assert found[name] == pytest.approx(float(expected), rel=1e-9, abs=1e-12), name


PRODUCTS = ("query", "key", "value", "probabilities")


def _reading_module(network: nn.Module, tap: str) -> nn.Module:
    """Return the module whose output the error of a tap is measured at; of two convolutions, the batch norm's input."""
    owner, _, part = tap.rpartition(".")
    if part == "probabilities":
        return network.get_submodule(owner)
    if part in PRODUCTS:
        return network.get_submodule(f"{owner}.product")
    block = network.get_submodule(owner)
    if hasattr(block, "even"):
        return _Joined(block)
    names = {
        "input": ("conv", "in_projection", "up", "linear"),
        "hidden": ("pointwise", "down"),
        "context": ("out_projection",),
    }
    return next(block.get_submodule(name) for name in names[part] if hasattr(block, name))


class _Joined(nn.Module):
    """Hooks both convolutions of a factorized reduction."""

    def __init__(self, block: nn.Module) -> None:
        super().__init__()
        self.layers = (block.get_submodule("even"), block.get_submodule("odd"))

    def register_forward_hook(self, hook):  # type: ignore[no-untyped-def, override]
        handles = [layer.register_forward_hook(hook) for layer in self.layers]

        class Both:
            def remove(self) -> None:
                for handle in handles:
                    handle.remove()

        return Both()


@pytest.mark.parametrize("kind", KINDS)
def test_error_gives_the_largest_threshold_whose_layer_errs_no_more(kind: str) -> None:
    network = small(kind)
    found = thresholds(network, "error", 0.1)
    read = read_taps(network)
    assert all(tau == 0.0 for name, tau in found.items() if name not in read)
    errors = layer_errors(network, {name: found[name] for name in read}, batches(), COMPUTE)
    assert max(errors.values()) <= 0.1
    beyond = layer_errors(network, {name: found[name] * (1 + 2**-6) for name in read}, batches(), COMPUTE)
    assert sorted(beyond.values())[len(beyond) // 2] > 0.09, "more would be pruned at little more"
    assert sum(beyond[name] > 0.1 for name in read) > 0.6 * len(read)


def test_steps_are_taken_in_the_order_of_error_per_mac_along_the_convex_hull() -> None:
    curves = {
        "a": [(0.0, Measured(0.0, 100)), (0.3, Measured(5.0, 90)), (0.6, Measured(6.0, 70)), (0.9, Measured(20.0, 60))],
        "b": [(0.0, Measured(0.0, 100)), (0.5, Measured(0.0, 80)), (0.7, Measured(1.0, 85))],
    }  # fmt: skip
    assert steps_of(curves) == [Step("b", 0.5, 0.0), Step("a", 0.6, 0.2), Step("a", 0.9, 1.4)]


def test_a_budget_is_met_at_less_error_than_equal_shares_or_errors() -> None:
    network = small("attention")
    logits, dense = run(network, {})

    def outcome(taus: dict[str, float]) -> tuple[float, float]:
        pruned, macs = run(network, {name: partial(pruning, tau) for name, tau in taus.items()})
        return macs / dense, float((pruned - logits).norm() / logits.norm())

    of_share = outcome(thresholds(network, "share", 0.35))
    of_error = outcome(thresholds(network, "error", 0.12))
    for macs, error in (of_share, of_error):
        assert 0.4 < macs < 0.95
        left, found = outcome(thresholds(network, "budget", macs))
        assert macs - 0.02 < left <= macs
        assert found < error


def test_errors_are_measured_on_images_from_all_batches() -> None:
    ordered = [(torch.arange(8.0)[:, None] + 8 * index, torch.full((8,), index)) for index in range(4)]
    chosen = some_of(ordered, 8)
    assert torch.cat([labels for _, labels in chosen]).bincount().tolist() == [2, 2, 2, 2]
    assert torch.cat([images for images, _ in chosen]).flatten().tolist() == [0, 4, 8, 12, 16, 20, 24, 28]
    assert [len(labels) for _, labels in some_of(ordered, 100)] == [8, 8, 8, 8]


def test_thresholds_that_calibration_cannot_choose_are_refused() -> None:
    for mode in ("share", "error", "budget"):
        with pytest.raises(ValidationError, match=f"at most 1 with mode {mode}, but got 1.5"):
            LadderConfig(threshold=(0.5, 1.5), threshold_mode=("relative", mode))
    assert LadderConfig(threshold=(1.5,), threshold_mode=("relative",)).rungs()[0].threshold == 1.5


def test_frozen_thresholds_are_used_as_they_are() -> None:
    network = network_of(dtype=torch.float64)
    preparation = Preparation(network, batches(), COMPUTE)
    preparation.freeze(rung("budget", 0.5), dict.fromkeys(taps(network), 0.25))
    assert {f.threshold for f in preparation.filters(rung("budget", 0.5)).values()} == {0.25}


def test_an_export_with_the_thresholds_of_the_point_computes_the_same() -> None:
    network = network_of("attention", torch.float64, cells=1)
    at = rung("share", 0.5).model_copy(update={"weight_bits": 4, "feature_map_bits": 4, "correction": "bias"})
    measured, exported = (Preparation(network, batches(), COMPUTE) for _ in range(2))
    filters, deployed = measured.filters(at), measured.deployed(at).network
    exported.freeze(at, {name: filter_.threshold for name, filter_ in filters.items()})
    images, _ = batches()[0]
    with torch.no_grad():
        with listening(deployed, filters):
            expected = deployed(images)
        assert torch.equal(portable(exported, at)(images), expected)
        assert not torch.equal(network(images), expected)
