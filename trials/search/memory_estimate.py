"""The GPU memory of a search, estimated before it starts, on tensors that have shapes but no values."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.autograd.graph import saved_tensors_hooks

from search_space import Supernet
from trials.config import TrialConfig
from trials.cost.liveness import storage_of
from trials.search.darts import frozen
from trials.search.search import supernet_of

MAX_CELLS = 32
"""Cells up to which a search is estimated: a cell takes half a second."""


def search_bytes(config: TrialConfig, shape: tuple[int, int, int], classes: int, workers: int) -> int | None:
    """Return about how many bytes a worker's search allocates on a GPU at its peak, without the CUDA context.

    These are the maps that the backward pass of a weight step needs, and weights, gradients and momentum. Measured on
    the CPU, where every live tensor can be counted, the peak is 1 to 2% higher. None: not estimated, because cells are
    recomputed or there are more than :data:`MAX_CELLS`.

    Args:
        config: the trial.
        shape: [C, H, W] of the images.
        classes: of the images.
        workers: of the trial; each has its part of a batch.
    """
    if config.search.recompute or not config.search_epochs or config.space.cells > MAX_CELLS:
        return None
    with FakeTensorMode(allow_non_fake_inputs=True):
        supernet = supernet_of(config, shape[0], classes)
        for parameter in supernet.parameters():  # `to` cannot replace fake parameters
            if parameter.dim() == 4:
                parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
        images = torch.empty(max(1, config.data.batch_size // workers), *shape)
        return _saved_bytes(supernet, images, config.device.precision) + 3 * _parameter_bytes(supernet)


def _saved_bytes(supernet: Supernet, images: Tensor, precision: str) -> int:
    """Return the bytes of all storages that a weight step keeps for its backward pass, without parameters."""
    saved: dict[int, Tensor] = {}
    owned = {storage_of(parameter) for parameter in supernet.parameters()}

    def keep(x: Tensor) -> Tensor:
        saved[storage_of(x)] = x  # holding it keeps its identity from being used again
        return x

    labels = torch.zeros(len(images), dtype=torch.int64)
    with frozen(supernet.architecture_parameters()), saved_tensors_hooks(keep, lambda x: x):
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
            logits = supernet(images.contiguous(memory_format=torch.channels_last))
        F.cross_entropy(logits.float(), labels)
    total = sum(x.untyped_storage().nbytes() for storage, x in saved.items() if storage not in owned)
    return 2 * total if precision == "float64" else total


def _parameter_bytes(network: nn.Module) -> int:
    return sum(parameter.numel() * parameter.element_size() for parameter in network.parameters())
