"""The first-order DARTS step of the supernet against the textbook formula: time and activation memory.

Both have the same weights, and are asserted equal (logits and alpha gradients, float64) before anything is timed. A
step is an alpha step and a weight step: two forward and two backward passes, without optimizers. The textbook computes
all gradients in both, as published implementations do.

Activation memory is counted, not sampled: after every operation of a weight step, forward and backward, the bytes of
all live tensors but parameters and images; the figure is the largest. Recomputed maps and intermediate gradients count.

If there is a GPU: images a second and the allocator's peak of the same two steps, synchronized. With or without one:
the operations of a step on the GPU path, and the bytes that they move, counted on fake tensors (``kernel_count``).
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import nn
from torch.profiler import ProfilerActivity, profile

from benchmarks import harness
from benchmarks.harness import Figure, Measured, Table, interleaved
from benchmarks.kernel_count import Operations, count
from benchmarks.supernet_sizes import CLASSES, NARROW, ON_GPU, WIDE, Size
from search_space import Supernet
from tests.oracles.matching import copy_to_plain
from tests.oracles.plain_darts import PlainSupernet
from trials.cost.liveness import LiveStorages
from trials.search.darts import frozen


def measure(quick: bool) -> Measured:
    """Measure the wide and the narrow setting, interleaved, on one thread."""
    rounds = 3 if quick else 7
    with harness.one_thread():
        check_equal()
        wide, narrow = Setting(WIDE), Setting(NARROW)
        big = interleaved(wide.steps(), rounds, warmup=1)
        small = interleaved(narrow.steps(), 2 * rounds, warmup=1)
        memory = wide.activation_bytes()
        operators = [
            Table(
                f"where the time of the fast step goes (C = {channels}), by operator",
                ("operator", "share", "calls"),
                setting.operators(),
            )
            for channels, setting in ((16, wide), (8, narrow))
        ]
    figures = [
        Figure("speedup_c16", big.median_ratio("plain", "fast"), "times", 3.0),
        Figure("activation_ratio_c16", memory["fast"] / memory["plain"], "of plain", 0.65, "lower"),
        Figure("speedup_c8", small.median_ratio("plain", "fast"), "times", 3.3),
        Figure(
            "recompute_activation_ratio_c16", memory["recompute"] / memory["plain"], "of plain", 0.1, "lower"
        ),
        Figure("recompute_time_ratio_c16", big.median_ratio("recompute", "fast"), "of fast", 1.4, "lower"),
        *(Figure(f"{name}_s_c16", big.median(name), "s") for name in wide.networks),
        *(Figure(f"{name}_s_c8", small.median(name), "s") for name in narrow.networks),
        *(Figure(f"{name}_activation_MB_c16", bytes_ / 1e6, "MB") for name, bytes_ in memory.items()),
        *gpu_figures(rounds),
        *counted_figures(),
    ]
    configuration = {
        "wide": WIDE,
        "narrow": NARROW,
        "on_gpu": ON_GPU,
        "rounds": rounds,
        "torch_threads": 1,
        "output_node": "concat",
    }
    return Measured(figures, configuration, operators)


def check_equal() -> None:
    """Assert that fast and textbook supernets agree in float64, with and without recomputation."""
    torch.manual_seed(0)
    plain = PlainSupernet("darts", cells=3, channels=4, classes=CLASSES, output_node="concat").double()
    images, labels = torch.randn(4, 3, 16, 16).double(), torch.randint(0, CLASSES, (4,))
    for recompute in (False, True):
        fast = Supernet(
            "darts", cells=3, channels=4, classes=CLASSES, output_node="concat", recompute=recompute
        ).double()
        copy_to_plain(fast, plain)
        plain.zero_grad()
        for network in (plain, fast):
            F.cross_entropy(network(images), labels).backward()
        assert torch.allclose(fast(images), plain(images), rtol=0, atol=1e-10)
        for kind, alpha in fast.alphas.items():
            assert alpha.grad is not None
            assert torch.allclose(alpha.grad, plain.alphas[kind].grad, rtol=0, atol=1e-10)


def gpu_figures(rounds: int) -> list[Figure]:
    """Return speed and peak memory of the same steps on the GPU; without a GPU, not measured."""
    names = ("plain", "fast", "recompute")
    speed, rates, peaks = None, dict.fromkeys(names), dict.fromkeys(names)
    if torch.cuda.is_available():
        setting = Setting(ON_GPU, "cuda")
        timings = interleaved(setting.steps(), rounds, warmup=3)
        speed = timings.median_ratio("plain", "fast")
        rates = {name: 2 * ON_GPU["batch"] / timings.median(name) for name in names}  # two batches a step
        peaks = {name: setting.gpu_peak_bytes(name) / 1e6 for name in names}
    return [
        Figure("speedup_gpu", speed, "times", 3.0),
        *(Figure(f"{name}_images_per_s_gpu", rates[name], "images/s") for name in names),
        *(Figure(f"{name}_peak_MB_gpu", peaks[name], "MB") for name in names),
    ]


def counted_figures() -> list[Figure]:
    """Return how many kernels a step with optimizers launches on a GPU, and how many bytes they move, as counted."""
    fused = {"fp32": count("fused", ON_GPU), "bf16": count("fused", ON_GPU, bf16=True)}
    torch_path = count("torch", ON_GPU)
    moved = {name: _gigabytes(operations) for name, operations in fused.items()}
    return [
        Figure("kernels_gpu_fp32", fused["fp32"].calls.total(), "a step", 1800, "lower"),
        Figure("kernels_gpu_bf16", fused["bf16"].calls.total(), "a step", 1800, "lower"),
        Figure("moved_GB_gpu_bf16", moved["bf16"], "a step", 30.0, "lower"),
        Figure("moved_GB_gpu_fp32", moved["fp32"], "a step"),
        Figure("kernels_gpu_fp32_without_fused_stages", torch_path.calls.total(), "a step"),
        Figure("moved_GB_gpu_fp32_without_fused_stages", _gigabytes(torch_path), "a step"),
    ]


def _gigabytes(operations: Operations) -> float:
    return operations.bytes.total() / 1e9


class Setting:
    """One size, and the three networks that are compared at it."""

    def __init__(self, size: Size, device: str = "cpu") -> None:
        torch.manual_seed(0)
        self.networks: dict[str, nn.Module] = {
            "plain": PlainSupernet(
                "darts", cells=size["cells"], channels=size["channels"], classes=CLASSES,
                output_node="concat", image_channels=size["image"][0],
            ),
            "fast": _supernet(size, recompute=False),
            "recompute": _supernet(size, recompute=True),
        }  # fmt: skip
        for network in self.networks.values():
            network.to(device)
        self.images = torch.randn(size["batch"], *size["image"]).to(device)
        self.labels = torch.randint(0, CLASSES, (size["batch"],)).to(device)

    def steps(self) -> dict[str, Callable[[], None]]:
        """Return one alpha step and weight step of each network."""
        return {name: self._step(name) for name in self.networks}

    def _step(self, name: str) -> Callable[[], None]:
        network = self.networks[name]

        def plain() -> None:
            for _ in range(2):
                F.cross_entropy(network(self.images), self.labels).backward()
            network.zero_grad()

        def fast() -> None:
            assert isinstance(network, Supernet)
            with frozen(network.weight_parameters()):
                F.cross_entropy(network(self.images), self.labels).backward()
            with frozen(network.architecture_parameters()):
                F.cross_entropy(network(self.images), self.labels).backward()
            network.zero_grad()

        return plain if name == "plain" else fast

    def activation_bytes(self) -> dict[str, int]:
        """Return the largest number of live bytes in a weight step of each network."""
        return {name: self._activation_bytes(network) for name, network in self.networks.items()}

    def _activation_bytes(self, network: nn.Module) -> int:
        owned = [*network.parameters(), *network.buffers(), self.images, self.labels]
        fixed = network.architecture_parameters() if isinstance(network, Supernet) else []
        with frozen(fixed), LiveStorages(owned) as live:
            F.cross_entropy(network(self.images), self.labels).backward()
        network.zero_grad()
        return live.most

    def gpu_peak_bytes(self, name: str) -> int:
        """Return the peak of GPU memory in one step of a network, in bytes above what was allocated before."""
        before = torch.cuda.memory_allocated()
        torch.cuda.reset_peak_memory_stats()
        self._step(name)()
        return torch.cuda.max_memory_allocated() - before

    def operators(self) -> list[tuple[str, float, int]]:
        """Return name, share of the time and calls of the operators that take at least 1% of a fast step."""
        step = self._step("fast")
        step()
        with profile(activities=[ProfilerActivity.CPU]) as trace:
            step()
        rows = trace.key_averages()
        total = sum(row.self_cpu_time_total for row in rows)
        shares = [(row.key, row.self_cpu_time_total / total, row.count) for row in rows]
        return sorted((row for row in shares if row[1] >= 0.01), key=lambda row: -row[1])


def _supernet(size: Size, recompute: bool) -> Supernet:
    return Supernet(
        "darts", cells=size["cells"], channels=size["channels"], classes=CLASSES, output_node="concat",
        image_channels=size["image"][0], recompute=recompute,
    )  # fmt: skip


if __name__ == "__main__":
    harness.main("supernet_step", measure)
