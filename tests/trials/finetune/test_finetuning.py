"""Fine-tuning: what its forward pass computes, its gradients, and that weights are what the optimizer steps."""

from __future__ import annotations

import pytest
import torch
from pydantic import ValidationError

from search_space.feature_map import listening, taps
from tests.trials.tiny import compute_of, images_of, network_of, tiny_config
from trials.device.parallel import Mesh
from trials.feature_maps.deployed import deploy
from trials.feature_maps.quantization import fake_quantize_weight
from trials.feature_maps.regularization import TapStatistics
from trials.finetune import Finetuning, quantized_weights, straight_through
from trials.points import calibration_batches


def test_straight_through_computes_the_function_with_the_gradient_of_the_identity() -> None:
    x = torch.tensor([-2.0, -0.1, 0.3, 1.7], requires_grad=True)
    out = straight_through(torch.round)(x)
    assert torch.equal(out, torch.tensor([-2.0, -0.0, 0.0, 2.0]))
    (gradient,) = torch.autograd.grad(out, x, torch.arange(4.0))
    assert torch.equal(gradient, torch.arange(4.0))


@pytest.mark.parametrize("calibration", ["minmax", "mse"])
def test_gradients_are_those_of_the_quantized_weights_and_weights_come_back(calibration: str) -> None:
    layer = torch.nn.Linear(5, 3)
    before, x = layer.weight.detach().clone(), torch.randn(7, 5)
    with quantized_weights(layer, 4, calibration):
        if calibration == "minmax":
            assert torch.equal(layer.weight, fake_quantize_weight(before, 4))
        used = layer.weight.detach().clone()
        layer(x).square().sum().backward()
    assert torch.equal(layer.weight, before)
    assert not torch.equal(used, before)
    expected = 2 * (x @ used.T + layer.bias.detach()).T @ x
    torch.testing.assert_close(layer.weight.grad, expected)


def test_weights_are_quantized_as_in_the_deployed_form() -> None:
    """Batch norms are folded there and not here; levels per channel are the same."""
    network = network_of()
    x = torch.randn(4, 1, 8, 8)
    with torch.no_grad(), quantized_weights(network, 4, "minmax"):
        found = network(x)
    with torch.no_grad():
        torch.testing.assert_close(found, deploy(network, 4).network(x), rtol=1e-4, atol=1e-5)


def finetuning(**finetune: object) -> Finetuning:
    config = tiny_config(finetune={"epochs": 1, **finetune})
    images, compute = images_of(config), compute_of(config)
    return Finetuning(config, network_of(), images, compute, Mesh(), calibration_batches(images, compute))


def test_the_network_is_trained_with_pruned_maps() -> None:
    phase = finetuning(threshold=0.9, threshold_mode="share")
    before = {name: value.clone() for name, value in phase.network.state_dict().items()}
    row = phase.run_epoch(0)
    assert any(not torch.equal(value, before[name]) for name, value in phase.network.state_dict().items())
    assert all(tap.listener is None for tap in taps(phase.network).values())
    unpruned = TapStatistics(phase.network.eval())
    with torch.no_grad(), listening(phase.network, unpruned.listeners()):
        phase.network(torch.randn(32, 1, 8, 8))
    sparsity = [sum(tap["sparsity"] for tap in taps_of) for taps_of in (row["taps"], unpruned.rows(Mesh()))]
    assert sparsity[0] > 1.5 * sparsity[1]


def test_accuracy_of_an_epoch_is_that_of_the_quantized_network() -> None:
    phase = finetuning(weight_bits=2, learning_rate=1e-9)
    full = finetuning(learning_rate=1e-9)
    assert phase.run_epoch(0)["loss"] != pytest.approx(full.run_epoch(0)["loss"], rel=0.01)


@pytest.mark.parametrize(
    ("block", "rule"),
    [
        ({"epochs": 1, "weight_bits": 16}, "`weight_bits` must be 2 to 8, or 32 for off, but got 16"),
        ({"epochs": 1, "calibration": "mse"}, "`calibration` needs weights or feature maps below 32 bits"),
        (
            {"epochs": 1, "threshold": 2, "threshold_mode": "budget"},
            "`threshold` must be at most 1 with mode budget",
        ),
        ({"epochs": -1}, "greater than or equal to 0"),
    ],
)
def test_bad_blocks_are_refused(block: dict[str, object], rule: str) -> None:
    with pytest.raises(ValidationError, match=rule):
        tiny_config(finetune=block)


def test_from_is_the_written_name_of_start() -> None:
    assert tiny_config(finetune={"epochs": 1, "from": "previous"}).finetune.start == "previous"
