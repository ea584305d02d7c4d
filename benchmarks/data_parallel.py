"""A data-parallel weight step of the supernet: gradients that leave during the backward pass, or after all of it.

Two processes with one thread each train one supernet over gloo. They take turns between the ways of averaging the
gradients in one run: in buckets while the backward pass runs, in one message after it, and not at all. Before timing,
the averages of both ways are compared.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
from torch.multiprocessing.spawn import spawn

from benchmarks import harness
from benchmarks.harness import Figure, Measured, Timings, interleaved
from benchmarks.supernet_sizes import CLASSES, NARROW, Size
from search_space import Supernet
from search_space.normalization import share_statistics
from trials.device.gradient_buckets import GradientBuckets
from trials.device.parallel import Mesh, process_group
from trials.search.darts import frozen

RANKS = 2
CPU = torch.device("cpu")


def measure(quick: bool) -> Measured:
    """Measure the ways on two processes."""
    rounds = 5 if quick else 25
    with tempfile.TemporaryDirectory() as folder:
        spawn(_rank, (folder, rounds), nprocs=RANKS)
        seconds = json.loads((Path(folder) / "seconds.json").read_text())
    timings = Timings(seconds)
    figures = [
        Figure("speedup_of_buckets", timings.median_ratio("after", "buckets"), "times"),
        Figure(
            "communication_share",
            1 - 1 / timings.median_ratio("buckets", "alone"),
            "of a step",
            None,
            "lower",
        ),
        *(Figure(f"{name}_s", timings.median(name), "s", None, "lower") for name in seconds),
    ]
    return Measured(figures, {"ranks": RANKS, "size": NARROW, "rounds": rounds, "torch_threads": 1})


def _rank(rank: int, folder: str, rounds: int) -> None:
    torch.set_num_threads(1)
    with process_group(rank, RANKS, f"file://{folder}/meet", CPU) as mesh:
        step = _Step(NARROW, mesh)
        step.check_equal()
        timings = interleaved(step.ways(), rounds, warmup=2)
    if rank == 0:
        (Path(folder) / "seconds.json").write_text(json.dumps(dict(timings.seconds)))


class _Step:
    """The supernet of one rank, its part of a batch, and the ways to compute averaged gradients."""

    def __init__(self, size: Size, mesh: Mesh) -> None:
        torch.manual_seed(0)
        self.mesh = mesh
        self.supernet = Supernet(
            "darts", cells=size["cells"], channels=size["channels"], classes=CLASSES, output_node="concat",
            image_channels=size["image"][0],
        )  # fmt: skip
        share_statistics(self.supernet, mesh.group)
        self.buckets = GradientBuckets(self.supernet.weight_parameters(), mesh)
        torch.manual_seed(mesh.rank)
        self.images = torch.randn(size["batch"] // RANKS, *size["image"])
        self.labels = torch.randint(0, CLASSES, (size["batch"] // RANKS,))

    def ways(self) -> dict[str, Callable[[], None]]:
        return {"after": self.after, "buckets": self.in_buckets, "alone": self._backward}

    def after(self) -> None:
        self._backward()
        self.mesh.average_gradients(self.supernet.weight_parameters())

    def in_buckets(self) -> None:
        with self.buckets.averaging():
            self._backward()

    def _backward(self) -> None:
        self.supernet.zero_grad(set_to_none=True)
        with frozen(self.supernet.architecture_parameters()):
            F.cross_entropy(self.supernet(self.images), self.labels).backward()

    def check_equal(self) -> None:
        """Assert that both ways give the same averages."""
        found = []
        for way in (self.after, self.in_buckets):
            way()
            found.append([p.grad.clone() for p in self.supernet.weight_parameters() if p.grad is not None])
        for after, in_buckets in zip(*found, strict=True):
            assert torch.equal(after, in_buckets)


if __name__ == "__main__":
    harness.main("data_parallel", measure)
