"""The maps that are alive at the same time at inference: their lifetimes in a traced run, to their last use."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter
from typing_extensions import override

from search_space.attention import AttentionProduct
from search_space.feature_map import listening, taps


@dataclass(frozen=True)
class LiveSet:
    """Maps that are alive at the same time.

    Attributes:
        taps: bytes in float32 by tap name. A map with several taps is listed once, under its first tap.
        other_bytes: bytes of the maps, or parts of maps, without a tap.
    """

    taps: Mapping[str, int]
    other_bytes: int

    def bytes(self, stored: Mapping[str, float]) -> float:
        """Return the size of the set in bytes, if the map of tap ``name`` takes ``stored[name]`` bytes.

        Maps that are not in ``stored`` count at their float32 size.
        """
        return self.other_bytes + sum(stored.get(name, size) for name, size in self.taps.items())


def live_sets(network: nn.Module, image: Tensor, *, fused: bool = False) -> tuple[LiveSet, ...]:
    """Run ``network`` on ``image`` [1, C, H, W] and return the live sets that no other live set contains.

    A map is alive from the operation that computes it to the last one that reads it: programs free it then, whatever
    variables of Python still refer to it. The image is alive throughout, because the caller holds it. Parameters,
    buffers and integer tensors are not counted. All candidates are returned, because the size of the maps as stored
    decides which set is the largest.

    Args:
        network: the network, with batch norms folded.
        image: the image, on the meta device.
        fused: attention is one kernel, which never holds the T x T probabilities; else they are maps.
    """
    trace = _Trace([*network.parameters(), *network.buffers()])

    def listener(name: str) -> Callable[[Tensor], Tensor]:
        def record(x: Tensor) -> Tensor:
            trace.record_tap(x, name)
            return x.detach()  # another tensor on the same storage: attention is traced in its explicit form

        return record

    listeners = {name: listener(name) for name in taps(network)}
    with torch.no_grad(), trace, listening(network, listeners), _fused_attention(network, trace, fused):
        trace.read([image, network(image)])  # the caller holds both
    return trace.maximal_sets()


@contextmanager
def _fused_attention(network: nn.Module, trace: _Trace, fused: bool) -> Iterator[None]:
    """Trace every attention product as one operation that reads its inputs, within the ``with`` block."""
    products = [module for module in network.modules() if fused and isinstance(module, AttentionProduct)]

    def kernel(query: Tensor, key: Tensor, value: Tensor, bias: Tensor) -> Tensor:
        out = torch.addcmul(query, key, value)  # of three inputs makes one map of the right size
        trace.read([bias])
        return out

    for product in products:
        vars(product)["forward"] = kernel
    try:
        yield
    finally:
        for product in products:
            del vars(product)["forward"]


_View = tuple[int, torch.Size, tuple[int, ...]]
"""Part of a storage: offset, shape and strides."""
_Tap = tuple[str, int]
"""Tap name, and bytes of its map in float32."""


class LiveStorages(TorchDispatchMode):
    """Tracks the tensor storages that are alive while this mode is active.

    Args:
        owned: tensors that are not tracked, such as parameters and inputs.

    Attributes:
        now: bytes alive after the last operation.
        most: the largest ``now`` so far.
    """

    def __init__(self, owned: Iterable[Tensor]) -> None:
        super().__init__()
        self._owned = {storage_of(tensor) for tensor in owned}
        self._alive: dict[int, tuple[StorageWeakRef, int]] = {}
        self.now = self.most = 0

    @override
    def __torch_dispatch__(
        self,
        func: Callable[..., object],
        types: Sequence[type],
        args: tuple[object, ...] = (),
        kwargs: Mapping[str, object] | None = None,
    ) -> object:
        out = func(*args, **(kwargs or {}))
        for tensor in tree_iter((args, out)):
            if isinstance(tensor, Tensor):
                self._track(tensor)
        for key in [key for key, (reference, _) in self._alive.items() if reference.expired()]:
            del self._alive[key]
        self.now = sum(size for _, size in self._alive.values())
        self.most = max(self.most, self.now)
        return out

    def _track(self, tensor: Tensor) -> None:
        storage = tensor.untyped_storage()
        reference = StorageWeakRef(storage)
        known = self._alive.get(reference.cdata)
        if reference.cdata in self._owned or (known is not None and not known[0].expired()):
            return
        self._alive[reference.cdata] = (reference, storage.nbytes())


class _Trace(TorchDispatchMode):
    """Records by which operations the storages of maps are computed and read, and the taps on them.

    All tensors of the trace are kept, so that no address of a storage is used twice; on the meta device they take no
    memory.
    """

    def __init__(self, owned: Iterable[Tensor]) -> None:
        super().__init__()
        self._kept: list[Tensor] = list(owned)
        self._owned = {storage_of(tensor) for tensor in self._kept}
        self._operations = 0
        self._lives: dict[int, _Life] = {}  # by storage

    def record_tap(self, x: Tensor, name: str) -> None:
        """Record that ``x``, its whole storage or a part of it, is the map of tap ``name``."""
        self.read([x])
        view = (int(x.storage_offset()), x.shape, x.stride())
        self._lives[storage_of(x)].taps.setdefault(view, (name, x.numel() * x.element_size()))

    def read(self, tensors: Iterable[Tensor]) -> None:
        """Record that the last operation reads or computes these tensors."""
        for tensor in tensors:
            key = storage_of(tensor)
            if tensor.is_floating_point() and key not in self._owned:
                self._kept.append(tensor)
                size = tensor.untyped_storage().nbytes()
                life = self._lives.setdefault(key, _Life(self._operations, self._operations, size))
                life.last = self._operations

    @override
    def __torch_dispatch__(
        self,
        func: Callable[..., object],
        types: Sequence[type],
        args: tuple[object, ...] = (),
        kwargs: Mapping[str, object] | None = None,
    ) -> object:
        out = func(*args, **(kwargs or {}))
        self._operations += 1
        self.read(leaf for leaf in tree_iter((args, kwargs, out)) if isinstance(leaf, Tensor))
        return out

    def maximal_sets(self) -> tuple[LiveSet, ...]:
        """Return the sets that no other set contains."""
        sets = set()
        for operation in range(self._operations + 1):
            alive = [life for life in self._lives.values() if life.first <= operation <= life.last]
            tapped = frozenset(tap for life in alive for tap in life.taps.values())
            sets.add((tapped, sum(life.size for life in alive) - sum(size for _, size in tapped)))
        maximal: list[tuple[frozenset[_Tap], int]] = []
        for tapped, other in sorted(sets, key=lambda live: (-len(live[0]), -live[1])):
            if not any(tapped <= larger and other <= bytes_ for larger, bytes_ in maximal):
                maximal.append((tapped, other))
        return tuple(LiveSet(dict(sorted(tapped)), other) for tapped, other in maximal)


@dataclass
class _Life:
    """Life of a storage: the operations that compute it and read it last, its size in bytes, and the taps on it."""

    first: int
    last: int
    size: int
    taps: dict[_View, _Tap] = field(default_factory=dict)


def storage_of(tensor: Tensor) -> int:
    """Return the identity of the storage behind a tensor, unique among the storages that are alive."""
    return int(StorageWeakRef(tensor.untyped_storage()).cdata)
