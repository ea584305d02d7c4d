"""What a first GPU would show, on a pretended one: tensors of two devices, steps and passes that wait for the GPU."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from benchmarks.gpu.ladder_work import columns_that_differ
from tests.doubles.pretended_gpu import GPU, OnGpu, Waits, pretended_gpu
from tests.trials.tiny import CONVOLUTIONS, CPU, context_in, network_of, tiny_config
from trials import TrialConfig, count_cost, run_trial
from trials.config import Rung
from trials.data.batches import Batch
from trials.data.loading import load_images
from trials.device.compute import Compute
from trials.device.parallel import Mesh
from trials.device.reading import on_cpu
from trials.feature_maps.deployed import deploy
from trials.feature_maps.quantization import AffineQuantizer
from trials.ladder.calibration import calibrate
from trials.ladder.image_sizes import image_sizes
from trials.ladder.ladder import evaluate, run_pass
from trials.ladder.tap_filter import TapFilter
from trials.search.search import Search
from trials.train.training import Training

Blocks = Mapping[str, Mapping[str, object]]


def config_of(space: str = "darts", blocks: Blocks | None = None) -> TrialConfig:
    """Return a configuration with steps of few images, in float64, whose steps are not recorded."""
    blocks = dict(blocks or {})
    return tiny_config(
        space,
        **blocks
        | {
            "space": {"nodes": 1},
            "data": {
                "batch_size": 8, "train_images": 16, "validation_share": 0, "crop_padding": 1, "cutout": 2,
                "flip": True,
            },
            "device": {"precision": "float64", "graph": False, **blocks.get("device", {})},
        },
    )  # fmt: skip


def search_on(device: torch.device, config: TrialConfig) -> Search:
    torch.manual_seed(0)
    images = load_images(config.data, config.seed, device)
    return Search(config, images, Compute.of(config.device, device), Mesh())


def assert_same(found: nn.Module, expected: nn.Module) -> None:
    for name, value in found.state_dict().items():
        assert isinstance(value, OnGpu), name
        torch.testing.assert_close(value.cpu(), expected.state_dict()[name], rtol=1e-7, atol=1e-9)


REGULARIZED = {"regularization": 0.01, "in_search": True}
SECOND = {"algorithm": "darts_second_order"}
PARTIAL = {"algorithm": "pc_darts", "partial_channels": 2, "alpha_warmup_epochs": 1}


@pytest.mark.parametrize(
    ("space", "blocks"),
    [
        ("attention", {"feature_maps": {**REGULARIZED, "measure": "hoyer"}}),
        ("darts", {"search": {**PARTIAL, "cost_pressure": 0.1, "recompute": True}}),
        ("darts", {"search": {**SECOND, "regularize_alphas": True}, "feature_maps": REGULARIZED}),
    ],
    ids=["attention, Hoyer", "PC-DARTS, cost pressure, recomputed", "second order, lambda in both losses"],
)
def test_a_search_step_waits_for_nothing_and_computes_what_a_cpu_does(space: str, blocks: Blocks) -> None:
    config = config_of(space, blocks)
    expected = search_on(CPU, config)
    expected.run_epoch(0)
    expected.step()
    with pretended_gpu() as waits:
        search = search_on(GPU, config)
        search.run_epoch(0)  # caches what depends on sizes alone
        waits.clear()
        search.step()
        assert waits == []
        assert_same(search.supernet, expected.supernet)
        waits.clear()
        search.warmup_step()
        assert waits == []


def test_a_step_in_bf16_waits_for_nothing() -> None:
    with pretended_gpu() as waits:
        search = search_on(GPU, config_of(blocks={"device": {"precision": "bf16"}}))
        search.run_epoch(0)
        waits.clear()
        search.step()
        assert waits == []


def test_a_training_step_waits_for_nothing_and_computes_what_a_cpu_does() -> None:
    blocks = {"train": {"drop_path": 0.2, "epochs": 2}, "feature_maps": {"regularization": 0.01}}
    config = config_of(blocks=blocks)

    def training_on(device: torch.device) -> Training:
        torch.manual_seed(0)
        images = load_images(config.data, config.seed, device)
        return Training(config, CONVOLUTIONS, images, Compute.of(config.device, device), Mesh())

    expected = training_on(CPU)
    expected.run_epoch(1)
    expected.step()
    with pretended_gpu() as waits:
        training = training_on(GPU)
        training.run_epoch(1)
        waits.clear()
        training.step()
        assert waits == []
        assert_same(training.network, expected.network)


# --- the ladder ---

RUNG = Rung(
    threshold=0.2, threshold_mode="relative", weight_bits=8, feature_map_bits=4, codec="best"
)  # fmt: skip


def batches_on(device: torch.device) -> list[Batch]:
    generator = torch.Generator().manual_seed(1)
    images = torch.randn(9, 1, 8, 8, generator=generator, dtype=torch.float64)
    labels = torch.randint(0, 10, (9,), generator=generator)
    return list(zip(images.to(device).split(4), labels.to(device).split(4), strict=True))


def test_the_ladder_has_the_rows_of_a_cpu_and_reads_once_a_pass() -> None:
    network = network_of("attention", torch.float64, cells=1)  # with convolutions, too
    cost = count_cost(network, (1, 8, 8))
    rungs = [RUNG]
    batches = batches_on(CPU)
    expected = evaluate(network, rungs, cost, Compute(CPU, "float64"), batches, lambda: batches)
    with pretended_gpu() as waits:
        compute = Compute(GPU, "float64")
        away = deepcopy(network)
        compute.place(away)
        placed = batches_on(GPU)
        found = evaluate(away, rungs, cost, compute, placed, lambda: placed)
        differences = columns_that_differ(expected, found)
        assert differences.pop("taps.threshold", 0.0) < 1e-15  # sums of magnitudes in another order
        assert differences == {}
        waits.clear()
        ranges = calibrate(away, placed, compute)
        assert_one_read(waits)
        filters = {name: TapFilter.of(RUNG, calibrated) for name, calibrated in ranges.items()}
        deployed = deploy(away, RUNG.weight_bits).network
        waits.clear()
        run_pass(deployed, filters, placed, compute)
        assert_one_read(waits)
        image_sizes(deployed, filters, placed, compute, ["best", "none"])
        assert_one_read(waits)


def assert_one_read(waits: Waits) -> None:
    assert len(waits) == 1, waits
    assert waits[0].startswith("read trials/device/reading.py")
    waits.clear()


def test_equal_maps_have_equal_levels_although_a_gpu_multiplies_by_reciprocals() -> None:
    x = torch.randn(3, 4, 50, 50)
    filter_ = TapFilter(0.1, AffineQuantizer(-2.5, 3.1, 8))
    with pretended_gpu():
        out, count = filter_.apply_and_count(x.to(GPU))
        (found, histogram), by_reciprocal = on_cpu([out, count.histogram]), x.to(GPU) / 3.1
        assert not torch.equal(by_reciprocal.cpu(), x / 3.1)
    expected, expected_count = filter_.apply_and_count(x)
    assert torch.equal(found, expected)
    assert torch.equal(histogram, expected_count.histogram)


def test_tensors_of_any_dtype_and_shape_are_read_in_one_copy() -> None:
    tensors: list[Tensor] = [
        torch.randn(3, 2), torch.tensor([True, False]), torch.tensor(7), torch.zeros(0), torch.randn(5, 2).double().T,
    ]  # fmt: skip
    with pretended_gpu() as waits:
        mixed = [tensors[0], *(tensor.to(GPU) for tensor in tensors[1:])]
        waits.clear()
        found = on_cpu(mixed)
        assert_one_read(waits)
        assert on_cpu(tensors)[0] is tensors[0]
    for one, other in zip(found, tensors, strict=True):
        assert not isinstance(one, OnGpu)
        assert one.dtype == other.dtype
        assert torch.equal(one, other)


@pytest.mark.slow
def test_a_whole_trial_runs_and_has_the_points_of_a_cpu(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = config_of(blocks={"search": {"epochs": 1}, "train": {"epochs": 1}})
    points: list[Any] = []
    for device in (CPU, GPU):
        context = context_in(tmp_path / device.type)
        with monkeypatch.context() as patched:
            patched.setattr("trials.trial.local_device", lambda device=device: device)
            if device is GPU:
                with pretended_gpu():
                    run_trial(config, context)
            else:
                run_trial(config, context)
        points.append(context.directory.read_points(config.trial_key()).to_pylist())
    columns = (
        "accuracy",
        "genotype",
        "effective_macs",
        "feature_map_bytes",
        "memory_bytes",
        "weight_bytes",
        "correct",
    )
    assert [[row[c] for c in columns] for row in points[0]] == [
        [row[c] for c in columns] for row in points[1]
    ]
    assert {row["device"] for row in points[1]} == {"pretended GPU"}
