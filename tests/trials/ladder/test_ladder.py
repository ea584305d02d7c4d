"""The ladder: pruning, quantization and costs of a trained network at every rung."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from pydantic import ValidationError
from torch import Tensor, nn

from search_space import Network
from search_space.feature_map import listening, taps
from tests.trials.tiny import CPU, network_of
from trials import TrialError, coding, count_cost
from trials.config import LadderConfig, Rung
from trials.cost.effective import COLUMNS
from trials.device.compute import Compute
from trials.feature_maps.deployed import deploy, fold
from trials.feature_maps.histogram import Histogram
from trials.feature_maps.quantization import AffineQuantizer, quantize_weight
from trials.ladder.calibration import calibrate
from trials.ladder.ladder import evaluate, run_pass
from trials.ladder.preparation import Preparation
from trials.ladder.tap_filter import Range, TapFilter

COMPUTE = Compute(CPU, "float32")
OFF = Rung(threshold=0.0, threshold_mode="absolute", weight_bits=32, feature_map_bits=32, codec="best")
EMPTY = Histogram.of(torch.zeros(2**16, dtype=torch.int64))
KINDS = ["convolutions", "attention"]


def batches(count: int = 2, size: int = 6) -> list[tuple[Tensor, Tensor]]:
    generator = torch.Generator().manual_seed(5)
    return [
        (torch.randn(size, 1, 8, 8, generator=generator), torch.randint(0, 10, (size,), generator=generator))
        for _ in range(count)
    ]


def rung(**changed: object) -> Rung:
    return OFF.model_copy(update=changed)


def rows_of(network: Network, *rungs: Rung) -> list[dict[str, Any]]:
    return evaluate(network, rungs, count_cost(network, (1, 8, 8)), COMPUTE, batches(), batches)


def filters(network: Network, at: Rung) -> dict[str, TapFilter]:
    return Preparation(network, batches(), COMPUTE).filters(at)


def logits_under(network: nn.Module, listeners: Mapping[str, Callable[[Tensor], Tensor]]) -> Tensor:
    with torch.no_grad(), listening(network, listeners):
        return torch.cat([network(images) for images, _ in batches()])


@pytest.mark.parametrize("kind", KINDS)
def test_threshold_zero_at_32_bits_gives_the_plain_logits_bit_for_bit(kind: str) -> None:
    network = network_of(kind)
    with torch.no_grad():
        plain = torch.cat([network(images) for images, _ in batches()])
    deployed = deploy(network, 32).network
    assert torch.equal(logits_under(deployed, filters(network, OFF)), plain)
    row = rows_of(network, OFF)[0]
    labels = torch.cat([labels for _, labels in batches()])
    assert row["accuracy"] == float((plain.argmax(1) == labels).double().mean())
    assert row["loss"] == pytest.approx(float(F.cross_entropy(plain.double(), labels)), rel=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_the_ladder_leaves_the_network_as_it_is(kind: str) -> None:
    network = network_of(kind)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    rows_of(network, OFF, rung(threshold=0.1, weight_bits=4, feature_map_bits=4))
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert all(tap.listener is None for tap in taps(network).values())


def test_features_below_the_threshold_and_only_those_become_zero() -> None:
    x = torch.tensor([-0.3, -0.2, -0.1999, 0.0, 0.1, 0.2, 0.5])
    for dtype in (torch.float32, torch.float64, torch.bfloat16):
        tau = float(x[5].to(dtype))
        pruned = TapFilter.of(rung(threshold=tau), Range(-1.0, 1.0, 0.5, EMPTY))(x.to(dtype))
        assert torch.equal(pruned, torch.where(x.to(dtype).abs() < tau, 0.0, x.to(dtype)))
    relative_rung = rung(threshold=0.2, threshold_mode="relative")
    relative = TapFilter.of(relative_rung, Range(-1.0, 1.0, 1.2, EMPTY))(x)  # prunes magnitudes below 0.24
    assert relative.tolist() == pytest.approx([-0.3, 0.0, 0.0, 0.0, 0.0, 0.0, 0.5])


def test_both_threshold_modes_can_be_rungs_of_one_ladder() -> None:
    rungs = LadderConfig(threshold=(0.0, 0.1), threshold_mode=("absolute", "relative")).rungs()
    assert [(r.threshold, r.threshold_mode) for r in rungs] == [
        (0.0, "absolute"), (0.1, "absolute"), (0.1, "relative"),
    ]  # fmt: skip
    assert LadderConfig(threshold_mode="relative").threshold_mode == ("relative",)


def test_what_changes_nothing_gives_no_rung_of_its_own() -> None:
    ladder = LadderConfig(
        threshold=(0.0, 0.1), weight_bits=(32, 4), calibration=("minmax", "mse"), correction=("none", "bias"),
        outer_bits=8,
    )  # fmt: skip
    found = [(r.threshold, r.weight_bits, r.calibration, r.correction, r.outer_bits) for r in ladder.rungs()]
    assert [rung for rung in found if rung[1] == 32] == [
        (0.0, 32, "minmax", "none", None), (0.1, 32, "minmax", "none", None), (0.1, 32, "minmax", "bias", None),
    ]  # fmt: skip
    assert len(found) == 3 + 2 * 4
    assert {rung[4] for rung in found if rung[1] == 4} == {8}


@pytest.mark.parametrize(
    ("ladder", "line"),
    [
        ({"calibration": "mse"}, "`calibration` needs weights or feature maps below 32 bits, but got mse"),
        ({"outer_bits": 8}, "`outer_bits` needs weights or feature maps below 32 bits, but got 8"),
        ({"correction": "bias", "threshold": [0]}, "`correction` needs .* below 32 bits, but got bias"),
        ({"outer_bits": 12, "weight_bits": [4]}, "`outer_bits` must be 2 to 8, or 32 for off, but got 12"),
        ({"calibration": ["mse", "mse"], "weight_bits": [4]}, "`calibration` must not name a rung twice"),
        ({"calibration": "entropy", "weight_bits": [4]}, "'minmax', 'percentile' or 'mse'"),
    ],
)
def test_ways_to_quantize_that_cannot_be_are_refused(ladder: dict[str, object], line: str) -> None:
    with pytest.raises(ValidationError, match=line):
        LadderConfig.model_validate(ladder)


def test_the_rung_of_an_older_point_is_that_of_todays_defaults() -> None:
    old = {name: value for name, value in OFF.model_dump().items() if name != "correction"}
    assert Rung.of_row({**old, "calibration": None, "accuracy": 0.5}) == OFF


def test_outer_layers_and_the_last_map_have_bits_of_their_own() -> None:
    network = network_of("attention")
    at = rung(weight_bits=3, feature_map_bits=3, calibration="mse", outer_bits=7, codec="none")
    preparation = Preparation(network, batches(), COMPUTE)
    deployed = preparation.deployed(at)
    assert deployed.bits == (7, *[3] * (len(deployed.bits) - 2), 7)
    packed = sum(b * s.numel() / 8 for b, s in zip(deployed.bits, deployed.symbols, strict=True))
    assert deployed.weight_bytes("none") == packed + 4 * deployed.other_values
    bits = {name: filter_.quantizer.bits for name, filter_ in preparation.filters(at).items()}
    assert {name for name, of_tap in bits.items() if of_tap == 7} == {"classifier.input"}
    row = rows_of(network, at)[0]
    for tap in row["taps"]:
        assert tap["bytes"] == pytest.approx(tap["elements"] * bits[tap["tap"]] / 8)
    whole = preparation.deployed(at.model_copy(update={"outer_bits": 32}))
    assert len(whole.symbols) == len(deployed.symbols) - 2
    assert torch.equal(
        whole.network.get_parameter("classifier.linear.weight"), network.classifier.linear.weight
    )


def test_a_corrected_network_stores_its_new_biases() -> None:
    network = network_of()
    plain, corrected = (
        Preparation(network, batches(), COMPUTE).deployed(rung(weight_bits=4, correction=kind))
        for kind in ("none", "bias")
    )
    added = sum(p.numel() for p in corrected.network.parameters())
    added -= sum(p.numel() for p in plain.network.parameters())
    assert added > 0
    assert corrected.weight_bytes("none") - plain.weight_bytes("none") == 4 * added


@pytest.mark.parametrize("mode", ["absolute", "relative"])
@pytest.mark.parametrize("kind", KINDS)
def test_pruning_equals_plain_listeners(kind: str, mode: str) -> None:
    network = network_of(kind)
    recorded: dict[str, list[Tensor]] = {name: [] for name in taps(network)}

    def record(name: str) -> Callable[[Tensor], Tensor]:
        def listen(x: Tensor) -> Tensor:
            recorded[name].append(x)
            return x

        return listen

    logits_under(network, {name: record(name) for name in recorded})
    scales = {
        name: float(torch.cat([x.flatten() for x in maps]).abs().mean()) for name, maps in recorded.items()
    }
    zeros: dict[str, list[int]] = {name: [0, 0] for name in recorded}

    def prune(name: str) -> Callable[[Tensor], Tensor]:
        threshold = 0.3 * (scales[name] if mode == "relative" else 1.0)

        def listen(x: Tensor) -> Tensor:
            x = x * (x.abs() >= threshold)
            zeros[name][0] += int((x == 0).sum())
            zeros[name][1] += x.numel()
            return x

        return listen

    logits = logits_under(network, {name: prune(name) for name in recorded})
    row = rows_of(network, rung(threshold=0.3, threshold_mode=mode))[0]
    labels = torch.cat([labels for _, labels in batches()])
    assert row["loss"] == pytest.approx(float(F.cross_entropy(logits.double(), labels)), rel=1e-4)
    for tap in row["taps"]:
        zero, total = zeros[tap["tap"]]
        assert tap["sparsity"] == pytest.approx(zero / total, abs=1e-3)
        assert tap["elements"] == total // 12
    assert row["sparsity"] == pytest.approx(
        sum(zero for zero, _ in zeros.values()) / sum(total for _, total in zeros.values()), abs=1e-3
    )


def test_higher_thresholds_never_add_features_macs_or_bytes() -> None:
    rows = rows_of(network_of("attention"), *(rung(threshold=tau) for tau in (0.0, 0.1, 0.5, 2.0)))
    for name in ("effective_macs", "feature_map_bytes", "memory_bytes"):
        values = [row[name] for row in rows]
        assert values == sorted(values, reverse=True)
    cost = count_cost(network_of("attention"), (1, 8, 8))
    assert rows[0]["effective_macs"] <= cost.macs


@pytest.mark.parametrize("codec", ["best", *coding.CODECS])
@pytest.mark.parametrize("kind", KINDS)
def test_bytes_of_a_tap_equal_the_stream_of_its_symbols(kind: str, codec: str) -> None:
    network = network_of(kind)
    quantized = rung(feature_map_bits=4, threshold=0.1, codec=codec)
    applied = filters(network, quantized)
    symbols: dict[str, list[Tensor]] = {name: [] for name in applied}

    def keep(name: str) -> Callable[[Tensor], Tensor]:
        def listen(x: Tensor) -> Tensor:
            x = applied[name](x)
            symbols[name].append(applied[name].quantizer.symbols(x).flatten())
            return x

        return listen

    logits_under(network, {name: keep(name) for name in applied})
    row = rows_of(network, quantized)[0]
    for tap in row["taps"]:
        stream = torch.cat(symbols[tap["tap"]])
        bits = tap["bytes"] * 8 * 12
        assert bits == pytest.approx(coding.size_in_bits(stream, codec))
        header = coding.read_header(coding.encode(stream[:0], codec))  # the header alone
        assert header is not None
        assert len(coding.encode(stream, codec)) * 8 >= bits
        assert torch.equal(coding.decode(coding.encode(stream, codec)), stream)
    assert row["feature_map_bytes"] == pytest.approx(sum(tap["bytes"] for tap in row["taps"]))
    assert row["entropy_bytes"] <= row["feature_map_bytes"] + 1e-9


def test_codecs_of_maps_that_are_not_quantized() -> None:
    network = network_of()
    none, mask, best, golomb = rows_of(
        network,
        *(rung(threshold=0.2, codec=codec) for codec in ("none", "zero_value", "best", "golomb_rice")),
    )
    assert none["entropy_bytes"] is None
    for dense, masked, smallest, other in zip(
        *(row["taps"] for row in (none, mask, best, golomb)), strict=True
    ):
        assert dense["bytes"] == other["bytes"] == 4 * dense["elements"]
        present = (1 - dense["sparsity"]) * dense["elements"]
        assert masked["bytes"] == pytest.approx(dense["elements"] / 8 + 4 * present)
        assert smallest["bytes"] == min(dense["bytes"], masked["bytes"])


def test_codec_none_packs_quantized_maps_and_weights_at_their_bits() -> None:
    network = network_of()
    row = rows_of(network, rung(weight_bits=4, feature_map_bits=3, codec="none"))[0]
    for tap in row["taps"]:
        assert tap["bytes"] == pytest.approx(tap["elements"] * 3 / 8)


def test_memory_is_the_weights_and_the_largest_live_maps_as_stored() -> None:
    network = network_of()
    cost = count_cost(network, (1, 8, 8))
    full, packed = rows_of(network, rung(codec="none"), rung(codec="none", feature_map_bits=8))
    assert full["memory_bytes"] == full["peak_bytes"] == pytest.approx(cost.peak_bytes)
    stored = {tap["tap"]: tap["bytes"] for tap in packed["taps"]}
    assert packed["memory_bytes"] == pytest.approx(cost.weight_bytes + cost.peak_map_bytes(stored))
    assert packed["memory_bytes"] < full["memory_bytes"]


def test_the_error_for_nan_names_the_tap() -> None:
    network = network_of()
    name = "cell0.edge0.0.hidden"
    with torch.no_grad():
        network.get_parameter("cell0.edge0.0.conv.weight")[0] = float("nan")
    with pytest.raises(
        TrialError, match=f"every feature map must be finite, but {name} holds NaN or infinity"
    ):
        calibrate(network, batches(), COMPUTE)
    of_finite_network = filters(network_of(), OFF)
    with pytest.raises(TrialError, match=f"but {name} holds NaN"):
        run_pass(network, of_finite_network, batches(), COMPUTE)


@pytest.mark.parametrize("kind", KINDS)
def test_coarser_grains_skip_less_and_fused_attention_holds_no_probabilities(kind: str) -> None:
    row = rows_of(network_of(kind), rung(threshold=0.5, feature_map_bits=8))[0]
    grains = [row[column] for column in COLUMNS.values()]
    assert grains[0] < grains[1] < grains[2] < count_cost(network_of(kind), (1, 8, 8)).macs
    assert grains[0] < grains[3]
    probabilities = sum(tap["bytes"] for tap in row["taps"] if tap["tap"].endswith("probabilities"))
    assert row["feature_map_bytes_fused"] == pytest.approx(row["feature_map_bytes"] - probabilities)
    assert (probabilities > 0) == (kind == "attention")
    for column in ("effective_macs", "peak_bytes", "memory_bytes"):
        explicit, fused = row[column], row[f"{column}_fused"]
        if kind == "convolutions":
            assert fused == explicit
        else:
            assert fused > explicit if column == "effective_macs" else fused < explicit


@pytest.mark.parametrize("kind", KINDS)
def test_folding_batch_norms_changes_no_output(kind: str) -> None:
    network = network_of(kind, torch.float64, cells=3)
    images = torch.randn(4, 1, 8, 8, dtype=torch.float64)
    with torch.no_grad():
        plain = network(images)
        fold(network)
        folded = network(images)
    torch.testing.assert_close(folded, plain, rtol=1e-9, atol=1e-9)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in network.modules())


@pytest.mark.parametrize("bits", [8, 3])
def test_deployed_weights_are_quantized_layer_by_layer(bits: int) -> None:
    network = network_of("attention")
    deployed = deploy(network, bits)
    fold(network)
    layers = [m for m in network.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    deployed_layers = [m for m in deployed.network.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    for layer, deployed_layer, symbols in zip(layers, deployed_layers, deployed.symbols, strict=True):
        expected = quantize_weight(layer.weight, bits)
        assert torch.equal(deployed_layer.weight, expected.dequantize())
        assert torch.equal(symbols, expected.symbols)
    weights = sum(layer.weight.numel() for layer in layers)
    biases = sum(layer.bias.numel() for layer in layers if layer.bias is not None)
    scales = sum(layer.weight.shape[0] for layer in layers)
    others = sum(
        p.numel() for name, p in network.named_parameters() if ".norm." in name or "position" in name
    )
    assert deployed.other_values == biases + scales + others
    assert deployed.weight_bytes("none") == weights * bits / 8 + 4 * deployed.other_values
    coded = sum(coding.size_in_bits(symbols, "golomb_rice") for symbols in deployed.symbols)
    assert deployed.weight_bytes("golomb_rice") == coded / 8 + 4 * deployed.other_values
    zeros = sum(int((symbols == 0).sum()) for symbols in deployed.symbols)
    assert deployed.sparsity() == zeros / weights


def test_weights_at_32_bits_take_four_bytes_and_a_mask_where_that_is_smaller() -> None:
    network = network_of()
    with torch.no_grad():
        network.classifier.linear.weight[:] = 0.0
    deployed = deploy(network, 32)
    values = sum(p.numel() for p in network.parameters())
    present = sum(int((p != 0).sum()) for p in network.parameters())
    assert deployed.weight_bytes("none") == 4 * values
    assert deployed.weight_bytes("zero_value") == values / 8 + 4 * present
    assert deployed.weight_bytes("best") == min(4 * values, values / 8 + 4 * present)
    assert deployed.sparsity() > 0


def test_quantized_features_stay_within_half_a_scale_inside_the_calibrated_range() -> None:
    network = network_of()
    for name, tap_filter in filters(network, rung(feature_map_bits=8)).items():
        quantizer = tap_filter.quantizer
        assert isinstance(quantizer, AffineQuantizer)
        x = torch.linspace(quantizer.low, quantizer.high, 50)
        assert (tap_filter(x) - x).abs().max() <= quantizer.scale / 2 + 1e-6, name
