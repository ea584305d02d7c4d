"""Cost of the feature-map term: a training step of a discrete network with it, against the same step without.

The networks are of the published DARTS_V2 cells, and of a cell of the attention space, at a size that trains on a CPU.
All taps take part. A step is forward, backward and SGD.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext

import torch

from benchmarks import harness
from benchmarks.harness import Figure, Measured, interleaved
from search_space import Genotype, Network
from trials.device.compute import Compute
from trials.feature_maps.measures import MEASURES
from trials.feature_maps.regularization import Regularizer
from trials.train.objective import Objective

CONVOLUTIONS = Genotype.parse(
    "Genotype(normal=[('sep_conv_3x3', 0), ('sep_conv_3x3', 1), ('sep_conv_3x3', 0), ('sep_conv_3x3', 1), "
    "('sep_conv_3x3', 1), ('skip_connect', 0), ('skip_connect', 0), ('dil_conv_3x3', 2)], normal_concat=[2, 3, 4, 5], "
    "reduce=[('max_pool_3x3', 0), ('max_pool_3x3', 1), ('skip_connect', 2), ('max_pool_3x3', 1), "
    "('max_pool_3x3', 0), ('skip_connect', 2), ('skip_connect', 2), ('max_pool_3x3', 1)], reduce_concat=[2, 3, 4, 5])"
)
ATTENTION = Genotype.parse(
    "Genotype(normal=[('self_attention_4h', 0), ('mlp_2x', 1), ('window_attention', 0), ('mlp_4x', 2), "
    "('self_attention_2h', 1), ('skip_connect', 2), ('mlp_2x', 3), ('dw_conv_3x3', 2)], normal_concat=[2, 3, 4, 5])"
)
BATCH, IMAGE, CLASSES, CHANNELS, CELLS = 32, (3, 32, 32), 10, 16, 5
COMPUTE = Compute(torch.device("cpu"), "float32")


def measure(quick: bool) -> Measured:
    """Time every measure of the term, on a network of convolutions and on one of attention."""
    rounds = 5 if quick else 15
    figures = []
    with harness.one_thread():
        for name, space, genotype in (("conv", "darts", CONVOLUTIONS), ("attention", "attention", ATTENTION)):
            steps = {kind: step(space, genotype, kind) for kind in (None, *MEASURES)}
            timings = interleaved({str(kind): one for kind, one in steps.items()}, rounds, warmup=2)
            for kind in MEASURES:
                overhead = timings.median_ratio(kind, "None") - 1
                target = {"l1": 0.15, "hoyer": 0.2}.get(kind)
                figures.append(Figure(f"{kind}_overhead_{name}", overhead, "of a step", target, "lower"))
            figures.append(Figure(f"step_s_{name}", timings.median("None"), "s"))
    size = {"batch": BATCH, "image": IMAGE, "channels": CHANNELS, "cells": CELLS}
    return Measured(figures, size | {"rounds": rounds, "torch_threads": 1, "taps": "*"})


def step(space: str, genotype: Genotype, kind: str | None) -> Callable[[], None]:
    """Return one training step, with the term of measure ``kind`` or without any."""
    torch.manual_seed(0)
    network = Network(genotype, channels=CHANNELS, cells=CELLS, classes=CLASSES, space=space, splitting=1)
    COMPUTE.place(network)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.01, momentum=0.9)
    regularizer = Regularizer(network, kind, ("*",)) if kind else None
    objective = Objective(network, COMPUTE, regularizer, 1e-4 if kind else 0.0)
    images = torch.randn(BATCH, *IMAGE).contiguous(memory_format=torch.channels_last)
    labels = torch.randint(0, CLASSES, (BATCH,))

    def train() -> None:
        optimizer.zero_grad()
        with regularizer.collecting() if regularizer else nullcontext():
            objective((images, labels)).backward()
        optimizer.step()

    return train


if __name__ == "__main__":
    harness.main("regularization", measure)
