"""The multiply-adds that read each tap: what its zeros can save.

With p the share of features of a map that are not zero, a layer that reads it once everywhere, without padding, takes
p times its macs. An attention product takes a multiply-add only where neither operand is zero: each operand is assigned
half of the product's macs, and (p + q) / 2 is at least p q.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn

from search_space.attention import AttentionProduct
from search_space.feature_map import listening, taps
from trials.cost.cost import layer_macs, meta_copy


@torch.no_grad()
def tap_macs(network: nn.Module, input_shape: tuple[int, ...]) -> dict[str, float]:
    """Return the macs of one image [C, H, W] that read the map of each tap, by its name.

    They are those of the convolutions and linear layers that run between this tap and the next; maps that wait are read
    by other taps, and have none.
    """
    meta = meta_copy(network)
    macs = {name: 0.0 for name, tap in taps(meta).items() if not tap.waiting}
    latest: list[str] = []

    def mark(name: str, x: Tensor) -> Tensor:
        latest[:] = [name]
        return x

    def hook(name: str) -> Callable[[nn.Module, tuple[Tensor, ...], Tensor], None]:
        def count(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
            counted = layer_macs(module, inputs, output)
            assert counted is not None
            read = _operands(name) if isinstance(module, AttentionProduct) else latest
            for tap in read:
                macs[tap] += counted / len(read)

        return count

    kinds = (nn.Conv2d, nn.Linear, AttentionProduct)
    for name, module in meta.named_modules():
        if isinstance(module, kinds):
            module.register_forward_hook(hook(name))
    with listening(meta, {name: partial(mark, name) for name in macs}):
        meta(torch.empty(1, *input_shape, device="meta"))
    return macs


def _operands(product: str) -> list[str]:
    """Return the taps of the four operands of an attention product; both of its products have the same macs."""
    owner = product.rpartition(".")[0]
    prefix = f"{owner}." if owner else ""
    return [*(f"{prefix}{part}" for part in ("query", "key", "value")), f"{product}.probabilities"]
