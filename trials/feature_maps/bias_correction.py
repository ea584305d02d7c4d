"""Bias correction: the mean error of each output channel of a layer is subtracted from its bias.

Quantized weights, clipped ranges and pruned features shift the mean of a layer's output. On calibration images each
layer receives its input as the unchanged network computes it. The difference of the mean outputs, with and without
pruning and quantization of this layer and of its input, is added to the bias (Nagel et al., ICCV 2019, section 4.2;
Banner et al., NeurIPS 2019). A layer without a bias gets one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import torch
from torch import Tensor, nn

from search_space.feature_map import Listener, listening, taps
from trials.data.batches import Batch
from trials.device.compute import Compute

LAYERS = (nn.Conv2d, nn.Linear)


@torch.no_grad()
def correct_biases(
    reference: nn.Module, deployed: nn.Module, filters: Mapping[str, Listener],
    batches: Iterable[Batch], compute: Compute,
) -> None:  # fmt: skip
    """Correct the biases of ``deployed``, in place.

    Args:
        reference: the network before quantization, with the same layers.
        deployed: the network with quantized weights.
        filters: what prunes and quantizes the map of each tap.
        batches: calibration images.
        compute: device and number format.
    """
    tapped: dict[int, str] = {}  # taps by the identity of the tensors of the current pass
    kept: list[Tensor] = []
    shifts: dict[str, tuple[Tensor, int]] = {}

    def listener(name: str) -> Listener:
        def mark(x: Tensor) -> Tensor:
            x = x.view_as(x)  # a tensor of its own: one map may have several taps
            tapped[id(x)] = name
            kept.append(x)  # no identity is used twice
            return x

        return mark

    def hook(name: str) -> Callable[[nn.Module, tuple[Tensor, ...], Tensor], None]:
        def compare(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
            (x,) = inputs
            applied = filters[tapped[id(x)]](x) if id(x) in tapped else x
            error = (output - deployed.get_submodule(name)(applied)).double()
            channels = error.movedim(1, -1) if isinstance(module, nn.Conv2d) else error
            rows = channels.reshape(-1, channels.shape[-1])
            total, count = shifts.get(name, (torch.zeros_like(rows[0]), 0))
            shifts[name] = total + rows.sum(0), count + len(rows)

        return compare

    layers = {name: module for name, module in reference.named_modules() if isinstance(module, LAYERS)}
    handles = [module.register_forward_hook(hook(name)) for name, module in layers.items()]
    try:
        marked = [
            name for name, tap in taps(reference).items() if not tap.normalized
        ]  # fused attention stays
        with listening(reference, {name: listener(name) for name in marked}):
            for images, _ in batches:
                tapped.clear()
                kept.clear()
                with compute.autocast():
                    reference(images)
    finally:
        for handle in handles:
            handle.remove()
    for name, (total, count) in shifts.items():
        layer = deployed.get_submodule(name)
        assert isinstance(layer, LAYERS)
        shift = (total / count).to(layer.weight.dtype)
        layer.bias = nn.Parameter(shift if layer.bias is None else layer.bias + shift)
