"""The maps that are alive at the same time at inference: their lifetimes in a traced run, operation by operation."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter
from typing_extensions import override

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


def live_sets(network: nn.Module, image: Tensor) -> tuple[LiveSet, ...]:
    """Run ``network`` on ``image`` [1, C, H, W] and return the live sets that no other live set contains.

    Parameters, buffers and integer tensors are not counted. All candidates are returned, because the size of the maps
    as stored decides which set is the largest.
    """
    trace = _Trace([*network.parameters(), *network.buffers()])

    def listener(name: str) -> Callable[[Tensor], Tensor]:
        def record(x: Tensor) -> Tensor:
            trace.record_tap(x, name)
            return x.detach()  # another tensor on the same storage: attention is traced in its explicit form

        return record

    listeners = {name: listener(name) for name in taps(network)}
    with torch.no_grad(), trace, listening(network, listeners):
        network(image)
    return trace.maximal_sets()


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
        self._owned = {StorageWeakRef(tensor.untyped_storage()).cdata for tensor in owned}
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
        self.after_operation()
        return out

    def after_operation(self) -> None:
        """Hook for subclasses, called after every operation."""

    def _track(self, tensor: Tensor) -> None:
        storage = tensor.untyped_storage()
        reference = StorageWeakRef(storage)
        known = self._alive.get(reference.cdata)
        if reference.cdata in self._owned or (known is not None and not known[0].expired()):
            return
        self._alive[reference.cdata] = (reference, storage.nbytes())


class _Trace(LiveStorages):
    """Records the sets of maps that are alive together, and the taps on them or on parts of them.

    A map with a tap counts as stored from the moment it is computed. So the live set after an operation is recorded
    when the next operation is over: until then, the taps on the new map have been recorded.
    """

    def __init__(self, owned: Iterable[Tensor]) -> None:
        super().__init__(owned)
        self._taps: dict[int, tuple[StorageWeakRef, dict[_View, _Tap]]] = {}  # by storage
        self._sets: set[tuple[frozenset[_Tap], int]] = set()
        self._bytes = 0  # alive after the last operation
        self._alive_taps: list[dict[_View, _Tap]] = []  # those on storages that are alive

    def record_tap(self, x: Tensor, name: str) -> None:
        """Record that ``x``, its whole storage or a part of it, is the map of tap ``name``."""
        reference = StorageWeakRef(x.untyped_storage())
        known = self._taps.get(reference.cdata)
        if known is None or known[0].expired():  # the address of a freed storage may be reused
            known = self._taps[reference.cdata] = (reference, {})
            self._alive_taps.append(known[1])
        view = (int(x.storage_offset()), x.shape, x.stride())
        known[1].setdefault(view, (name, x.numel() * x.element_size()))

    @override
    def after_operation(self) -> None:
        self._record_set()
        self._bytes = self.now
        self._alive_taps = [
            taps_on_storage
            for key, (reference, taps_on_storage) in self._taps.items()
            if key in self._alive and not reference.expired()
        ]

    def _record_set(self) -> None:
        tapped = frozenset(tap for taps_on_storage in self._alive_taps for tap in taps_on_storage.values())
        self._sets.add((tapped, self._bytes - sum(size for _, size in tapped)))

    @override
    def _track(self, tensor: Tensor) -> None:
        if tensor.is_floating_point():
            super()._track(tensor)

    def maximal_sets(self) -> tuple[LiveSet, ...]:
        """Return the sets that no other set contains."""
        self._record_set()
        maximal: list[tuple[frozenset[_Tap], int]] = []
        for tapped, other in sorted(self._sets, key=lambda live: (-len(live[0]), -live[1])):
            if not any(tapped <= larger and other <= bytes_ for larger, bytes_ in maximal):
                maximal.append((tapped, other))
        return tuple(LiveSet(dict(sorted(tapped)), other) for tapped, other in maximal)
