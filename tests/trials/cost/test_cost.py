"""The cost model: macs and params by hand and by torch's counter, effective macs by brute force, live maps."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter
from torch.utils.flop_counter import FlopCounterMode

from search_space import Network
from search_space.attention import MLP, AttentionProduct, SelfAttention
from search_space.feature_map import FeatureMap, listening, taps
from tests.trials.tiny import network_of
from trials import count_cost
from trials.cost.effective import COLUMNS, FUSED, EffectiveMacs, conv_effective_macs
from trials.cost.grains import GRAINS, WHOLE
from trials.cost.liveness import LiveStorages, live_sets
from trials.device.parallel import Mesh
from trials.export.portable import as_program
from trials.feature_maps.deployed import fold
from trials.feature_maps.regularization import TapStatistics

pytestmark = pytest.mark.device


def macs_of(module: nn.Module, *shape: int) -> int:
    return count_cost(module, shape).macs


@pytest.mark.parametrize(
    ("module", "shape", "macs"),
    [
        (nn.Conv2d(3, 8, 3, padding=1, bias=False), (3, 6, 5), 3 * 8 * 9 * 30),
        (nn.Conv2d(4, 8, 3, groups=4), (4, 6, 6), 8 * 9 * 16),
        (nn.Conv2d(4, 4, 3, padding=2, dilation=2, groups=4), (4, 6, 6), 4 * 9 * 36),
        (nn.Conv2d(4, 6, 5, stride=2, padding=2), (4, 7, 8), 4 * 6 * 25 * 4 * 4),
        (nn.Conv2d(2, 3, (1, 7), stride=(1, 2), padding=(0, 3)), (2, 4, 9), 2 * 3 * 7 * 4 * 5),
        # 20 positions, 8 channels: projections 8 -> 24 and 8 -> 8, Q K^T and the product with V over all pairs
        (SelfAttention(8, 2, 1, True), (8, 5, 4), 20 * 8 * 24 + 20 * 8 * 8 + 2 * 20 * 20 * 8),
        # in 4 windows of 16 positions, the border padded
        (SelfAttention(8, 2, 1, True, window=4), (8, 6, 6), 36 * 8 * 32 + 2 * 4 * 16 * 16 * 8),
        (SelfAttention(8, 2, 2, True), (8, 6, 6), 9 * 8 * 32 + 2 * 9 * 9 * 8),
        (MLP(6, 4, True), (6, 3, 3), 9 * 6 * 24 * 2),
        (nn.MaxPool2d(3), (3, 6, 6), 0),
    ],
    ids=str,
)  # fmt: skip
def test_macs_counted_by_hand(module: nn.Module, shape: tuple[int, ...], macs: int) -> None:
    cost = count_cost(nn.Sequential(module), shape)
    assert cost.macs == macs
    assert cost.flops == 2 * macs
    assert cost.params == sum(p.numel() for p in module.parameters())
    assert cost.weight_bytes == 4 * cost.params


@pytest.mark.parametrize("kind", ["convolutions", "attention"])
@pytest.mark.parametrize("fused", [True, False])
def test_macs_are_half_the_flops_of_torchs_counter(kind: str, fused: bool) -> None:
    network = network_of(kind)
    cost = count_cost(network, (1, 8, 8))
    meta_network = network.to("meta")
    listeners: dict[str, Callable[[Tensor], Tensor]] = (
        {} if fused else {name: lambda x: x.view_as(x) for name in taps(meta_network)}
    )
    counter = FlopCounterMode(display=False)
    with counter, listening(meta_network, listeners), torch.no_grad():
        meta_network(torch.empty(1, 1, 8, 8, device="meta"))
    assert counter.get_total_flops() == cost.flops
    assert sum(layer.macs for layer in cost.layers) == cost.macs


def test_layers_are_listed_in_execution_order() -> None:
    cost = count_cost(network_of(), (1, 8, 8))
    names = [layer.name for layer in cost.layers]
    assert (names[0], names[-1]) == ("stem.0", "classifier.linear")
    assert (
        names.index("cell0.preprocess0.conv")
        < names.index("cell0.edge0.0.conv")
        < names.index("cell1.edge0.even")
    )


def test_counting_leaves_the_network_as_it_is() -> None:
    network = network_of().train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    count_cost(network, (1, 8, 8))
    assert network.training
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert all(not module._forward_hooks for module in network.modules())


def sparse(*shape: int) -> Tensor:
    """Return random numbers, about half of them zero."""
    return torch.randn(shape) * (torch.rand(shape) < 0.5)


def conv_by_brute_force(conv: nn.Conv2d, x: Tensor) -> int:
    """Enumerate the multiply-adds of a convolution; count those with a pixel inside the map that is not zero."""
    (kh, kw), (sh, sw), (dh, dw) = conv.kernel_size, conv.stride, conv.dilation
    ph, pw = int(conv.padding[0]), int(conv.padding[1])
    batch, _, height, width = x.shape
    _, out_channels, out_height, out_width = conv(x).shape
    inside = conv.in_channels // conv.groups
    count = 0
    for b, o, y, z in itertools.product(
        range(batch), range(out_channels), range(out_height), range(out_width)
    ):
        group = o // (out_channels // conv.groups)
        for c, i, j in itertools.product(range(inside), range(kh), range(kw)):
            row, column = y * sh - ph + i * dh, z * sw - pw + j * dw
            if 0 <= row < height and 0 <= column < width:
                count += int(x[b, group * inside + c, row, column] != 0)
    return count


CONVOLUTIONS: dict[str, Any] = {
    "plain": {"kernel_size": 3},
    "padded": {"kernel_size": 3, "padding": 1},
    "strided": {"kernel_size": 3, "padding": 1, "stride": 2},
    "strided, no padding": {"kernel_size": 1, "stride": 2},
    "dilated": {"kernel_size": 3, "padding": 2, "dilation": 2},
    "dilated and strided": {"kernel_size": 5, "padding": 4, "dilation": 2, "stride": 2},
    "grouped": {"kernel_size": 3, "padding": 1, "groups": 2},
    "depthwise": {"kernel_size": 5, "padding": 2, "groups": 4, "out_channels": 4},
    "rectangular": {"kernel_size": (1, 5), "padding": (0, 2), "stride": (1, 2)},
    "more padding than kernel": {"kernel_size": 2, "padding": 1, "stride": 3},
}


@pytest.mark.parametrize("case", CONVOLUTIONS)
def test_effective_macs_of_convolutions_by_brute_force(case: str) -> None:
    conv = nn.Conv2d(**({"in_channels": 4, "out_channels": 6} | CONVOLUTIONS[case]))
    x = sparse(2, 4, 6, 5)
    assert int(conv_effective_macs(conv, x)[1]) == conv_by_brute_force(conv, x)


def kept_by_hand(x: Tensor, grain: int, dimension: int) -> Tensor:
    """Return 1 where a feature of ``x`` [B, ...] is computed if only whole groups of ``dimension`` are skipped."""
    out = torch.zeros_like(x)
    last = x.shape[dimension]
    for image, made in zip(x.movedim(dimension, -1), out.movedim(dimension, -1), strict=True):
        if grain == WHOLE:
            for channel in range(last):
                made[..., channel] = float(bool((image[..., channel] != 0).any()))
            continue
        flat, flat_made = image.reshape(-1, last), made.reshape(-1, last).clone()
        for position, start in itertools.product(range(len(flat)), range(0, last, grain)):
            group = slice(start, start + grain)
            flat_made[position, group] = float(bool((flat[position, group] != 0).any()))
        made.copy_(flat_made.view_as(made))
    return out


@pytest.mark.parametrize("case", CONVOLUTIONS)
@pytest.mark.parametrize("form", ["channels_last", "channels_first", "float64"])
def test_structured_macs_of_convolutions_by_brute_force(case: str, form: str) -> None:
    channels = 4 if "groups" in CONVOLUTIONS[case] else 22  # the last group of 8 is not full
    conv = nn.Conv2d(**{"out_channels": 6, **CONVOLUTIONS[case], "in_channels": channels})
    x = sparse(2, channels, 6, 5) * (torch.rand(2, channels, 1, 1) < 0.6) * (torch.rand(2, 1, 6, 5) < 0.6)
    x = x.double() if form == "float64" else x
    x = x.contiguous(memory_format=torch.channels_last) if form == "channels_last" else x
    counts = conv_effective_macs(conv, x, GRAINS)
    for grain in GRAINS:
        expected = int(conv_effective_macs(conv, kept_by_hand(x.float(), grain, 1))[1])
        assert int(counts[grain]) == expected, grain
    assert counts[1] <= counts[4] <= counts[8]


def test_structured_macs_of_attention_and_linear_layers_by_brute_force() -> None:
    network = Attending()
    query, key, value = (sparse(2, 3, 7, 6) * (torch.rand(2, 3, 1, 6) < 0.7) for _ in range(3))
    effective = EffectiveMacs(network, structured=True)
    dropped: list[Tensor] = []

    def drop(p: Tensor) -> Tensor:
        dropped.append(torch.where(p < 0.2, torch.zeros_like(p), p))
        return dropped[-1]

    with torch.no_grad(), effective.counting({"product.probabilities": drop}):
        network(torch.stack([query, key, value]))
    totals = effective.totals()
    for grain in GRAINS:
        q, k, v, p = (
            torch.stack([kept_by_hand(x[:, head], grain, 2) for head in range(3)], 1)
            for x in (query, key, value, dropped[0])
        )
        expected = int(torch.einsum("bhid,bhjd->", q, k)) + int(torch.einsum("bhij,bhjd->", p, v))
        assert totals[COLUMNS[grain]] == expected, grain
    single_query, single_key, single_value = ((x != 0).float() for x in (query, key, value))
    scores = torch.einsum("bhid,bhjd->", single_query, single_key)
    assert totals[FUSED] == int(scores) + 7 * int(single_value.sum())
    linear = EffectiveMacs(layers := nn.Sequential(nn.Linear(11, 3)), structured=True)
    x = sparse(2, 4, 11)
    with torch.no_grad(), linear.counting({}):
        layers(x)
    assert linear.totals() == {
        **{COLUMNS[grain]: 3 * int(kept_by_hand(x, grain, 2).sum()) for grain in GRAINS},
        FUSED: 3 * int((x != 0).sum()),
    }


def counted(network: nn.Module, x: Tensor) -> int:
    """Return the effective macs of ``network`` on ``x``."""
    effective = EffectiveMacs(network)
    with torch.no_grad(), effective.counting({}):
        network(x)
    return effective.total()


def test_effective_macs_of_a_linear_layer_by_brute_force() -> None:
    x = sparse(3, 5)
    assert counted(nn.Sequential(nn.Linear(5, 7)), x) == sum(int(v != 0) * 7 for v in x.flatten())


class Attending(nn.Module):
    """One attention product on given queries, keys and values."""

    def __init__(self) -> None:
        super().__init__()
        self.product = AttentionProduct()

    def forward(self, x: Tensor) -> Tensor:
        query, key, value = x
        out: Tensor = self.product(query, key, value, torch.zeros(()))
        return out


def test_effective_macs_of_attention_by_brute_force() -> None:
    network = Attending()
    query, key, value = (sparse(2, 3, 4, 5) for _ in range(3))
    effective = EffectiveMacs(network)
    dropped: list[Tensor] = []

    def drop(p: Tensor) -> Tensor:
        dropped.append(torch.where(p < 0.2, torch.zeros_like(p), p))
        return dropped[-1]

    with torch.no_grad(), effective.counting({"product.probabilities": drop}):
        network(torch.stack([query, key, value]))
    expected = 0
    for b, h, i, j, d in itertools.product(range(2), range(3), range(4), range(4), range(5)):
        expected += int(query[b, h, i, d] != 0 and key[b, h, j, d] != 0)
        expected += int(dropped[0][b, h, i, j] != 0 and value[b, h, j, d] != 0)
    assert (dropped[0] == 0).any()
    assert effective.total() == expected


def test_effective_macs_of_attention_are_exact_in_bf16() -> None:
    network = Attending()
    inputs = torch.stack(
        [sparse(2, 2, 301, 5) for _ in range(3)]
    )  # sums beyond 256, where bf16 skips integers
    totals = []
    for dtype in (torch.float32, torch.bfloat16):
        effective = EffectiveMacs(network)

        def drop(p: Tensor) -> Tensor:
            kept = torch.arange(p.shape[-1], device=p.device) % 7 > 0
            return torch.where(kept, torch.ones_like(p), torch.zeros_like(p))

        with torch.no_grad(), effective.counting({"product.probabilities": drop}):
            network(inputs.to(dtype))
        totals.append(effective.total())
    assert totals[0] == totals[1]


@pytest.mark.parametrize("size", [(6, 6), (7, 4), (8, 8)])
def test_windows_that_extend_beyond_the_map_count_only_positions_inside(size: tuple[int, int]) -> None:
    channels, (height, width) = 8, size
    network = nn.Sequential(SelfAttention(channels, 4, 1, True, window=4)).eval()
    windows = [
        min(4, height - y) * min(4, width - x) for y in range(0, height, 4) for x in range(0, width, 4)
    ]
    pairs = sum(positions**2 for positions in windows)
    x = torch.randn(3, channels, height, width)
    statistics = TapStatistics(network)
    effective = EffectiveMacs(network, structured=True)
    with torch.no_grad(), effective.counting(statistics.listeners()):
        network(x)
    projections = height * width * 4 * channels**2
    assert set(effective.totals().values()) == {3 * (2 * pairs * channels + projections)}  # nothing is zero
    (row,) = [row for row in statistics.rows(Mesh()) if row["tap"].endswith("probabilities")]
    assert row["sparsity"] == 0.0
    assert row["mean_magnitude"] == pytest.approx(
        height * width / pairs
    )  # every row of real keys sums to one


def test_effective_macs_of_a_map_without_zeros_exclude_only_padding() -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 1), nn.Conv2d(4, 4, 3, padding=1))
    full = torch.rand(1, 3, 5, 5) + 0.5
    with torch.no_grad():
        network.get_parameter("0.weight").fill_(1.0)
    padded = macs_of(network, 3, 5, 5) - counted(network, full)
    assert padded == 16 * (5 * 5 * 9 - 13 * 13)  # 13 = 3 x 5 - 2 pairs of output and kernel row are inside


class TwoBranches(nn.Module):
    """x -> a = relu(x) (tap), b = conv(a), c = conv(a), out = b + c."""

    def __init__(self) -> None:
        super().__init__()
        self.tap = FeatureMap()
        self.one, self.two = nn.Conv2d(2, 8, 1, bias=False), nn.Conv2d(2, 4, 1, bias=False)
        self.three = nn.Conv2d(8, 4, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        a = self.tap(F.relu(x))
        del x
        wide = self.one(a)
        narrow = self.two(a)
        del a
        return self.three(wide) + narrow


def test_live_maps_of_a_network_traced_by_hand() -> None:
    cost = count_cost(nn.Sequential(TwoBranches()), (2, 5, 5))
    map_ = 25 * 4  # bytes of one channel
    # the image (2 channels, held by the caller), wide (8), narrow (4), the output of the third (4)
    assert cost.peak_map_bytes({}) == (2 + 8 + 4 + 4) * map_
    tap = "0.tap"
    assert cost.peak_map_bytes({tap: 10_000}) == 10_000 + (2 + 8 + 4) * map_
    assert cost.peak_bytes == cost.weight_bytes + 18 * map_


class SharedStorage(nn.Module):
    """A linear layer with an output of three parts: one with two taps, one with one tap, one unused."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 12, bias=False)
        self.first, self.second, self.again = FeatureMap(), FeatureMap(), FeatureMap()

    def forward(self, x: Tensor) -> Tensor:
        one, two, _ = self.linear(x.flatten(1)).chunk(3, dim=1)
        return self.again(self.first(one)) * self.second(two)


def test_taps_on_parts_of_one_map_count_separately() -> None:
    sets = live_sets(SharedStorage(), torch.empty(1, 4, 1, 1))
    largest = max(sets, key=lambda live: live.bytes({}))
    assert largest.taps == {"first": 16, "second": 16}
    assert largest.bytes({}) == 4 * (4 + 12 + 4)
    assert largest.bytes({"first": 2, "second": 3}) == largest.bytes({}) - 32 + 5


def test_taps_stored_at_full_size_do_not_change_the_peak() -> None:
    for kind in ("convolutions", "attention"):
        cost = count_cost(network_of(kind), (1, 8, 8))
        sizes = {name: float(size) for live in cost.live_sets for name, size in live.taps.items()}
        assert cost.peak_map_bytes(sizes) == cost.peak_map_bytes({})
        assert cost.peak_map_bytes(dict.fromkeys(sizes, 0.0)) < cost.peak_map_bytes({})


class LiveMaps(LiveStorages):
    """Storages of floating-point tensors: the indices of a pooling are no maps."""

    def _track(self, tensor: Tensor) -> None:
        if tensor.is_floating_point():
            super()._track(tensor)


def freed_at_last_use(network: Network, images: Tensor) -> int:
    """Return the peak memory of the maps of the exported program, in bytes: it frees every map after its last use.

    The image is held by the caller. Maps that share memory count once.
    """
    program = as_program(network, images).module()
    with torch.no_grad(), LiveMaps([*program.parameters(), *program.buffers()]) as live:
        program(images)
    return live.most


KINDS_OF_OUTPUT = [("concat", 1), ("node_groups", 2), ("channel_groups", 2), ("partial", 2)]


@pytest.mark.parametrize(("output_node", "splitting"), KINDS_OF_OUTPUT)
def test_the_peak_is_that_of_the_exported_program(output_node: str, splitting: int) -> None:
    network = network_of(output_node=output_node, splitting=splitting)
    expected = count_cost(network, (1, 16, 16)).peak_map_bytes({})
    fold(network)
    assert freed_at_last_use(network, torch.randn(2, 1, 16, 16)) == 2 * expected


def peak_by_brute_force(network: Network, image: Tensor) -> int:
    """Return the peak by a pass over a list of all operations: what each storage is read by, and how long it lives."""
    listed: list[list[tuple[int, int]]] = []

    class Listing(TorchDispatchMode):
        def __torch_dispatch__(
            self,
            func: Callable[..., object],
            types: object,
            args: tuple[object, ...] = (),
            kwargs: Any = None,
        ) -> object:
            out = func(*args, **(kwargs or {}))
            tensors = [x for x in tree_iter((args, out)) if isinstance(x, Tensor) and x.is_floating_point()]
            kept.extend(tensors)
            listed.append([(x.untyped_storage()._cdata, x.untyped_storage().nbytes()) for x in tensors])
            return out

    kept: list[Tensor] = []
    weights = {x.untyped_storage()._cdata for x in [*network.parameters(), *network.buffers()]}
    sevens = dict.fromkeys(taps(network), lambda x: x.detach())
    with torch.no_grad(), Listing(), listening(network, sevens):
        out = network(image)
    listed[0].append((image.untyped_storage()._cdata, image.numel() * 4))
    listed[-1] += [(x.untyped_storage()._cdata, x.numel() * 4) for x in (image, out)]
    lives: dict[tuple[int, int], list[int]] = {}
    for time, operation in enumerate(listed):
        for key in operation:
            if key[0] not in weights:
                lives.setdefault(key, [time, time])[1] = time
    return max(
        sum(key[1] for key, (first, last) in lives.items() if first <= time <= last)
        for time in range(len(listed))
    )


@pytest.mark.parametrize("kind", ["convolutions", "attention"])
def test_the_peak_equals_an_independent_trace(kind: str) -> None:
    network, image = network_of(kind), torch.randn(1, 1, 8, 8)
    expected = count_cost(network, (1, 8, 8)).peak_map_bytes({})
    network(image)  # fills the caches of positions and windows
    fold(network)
    assert peak_by_brute_force(network, image) == expected


def test_means_of_groups_are_maps_that_are_stored_like_others() -> None:
    for output_node, splitting in KINDS_OF_OUTPUT:
        cost = count_cost(network_of(output_node=output_node, splitting=splitting), (1, 28, 28))
        nothing = {name: 0.0 for live in cost.live_sets for name in live.taps}
        joined = [live for live in cost.live_sets if any(name.endswith("joined") for name in live.taps)]
        assert joined
        assert min(live.bytes(nothing) for live in joined) <= 28 * 28 * 4, (output_node, splitting)


def test_fused_attention_holds_no_probabilities() -> None:
    cost = count_cost(network_of("attention", patch_size=1), (1, 8, 8))
    explicit, fused = (
        {tap for live in sets for tap in live.taps} for sets in (cost.live_sets, cost.fused_live_sets)
    )
    probabilities = {name for name in explicit if name.endswith("probabilities")}
    assert probabilities
    assert not any(name.endswith("probabilities") for name in fused)
    peaks = [max(live.bytes({}) for live in sets) for sets in (cost.fused_live_sets, cost.live_sets)]
    assert peaks[0] < peaks[1]
    convolutions = count_cost(network_of(), (1, 8, 8))
    assert convolutions.fused_live_sets == convolutions.live_sets
