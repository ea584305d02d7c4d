"""Which maps are alive together at inference: the life times of a traced run, operation by operation."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter

from search_space.feature_map import listening, taps


@dataclass(frozen=True)
class LiveSet:
    """Maps that are alive at the same time.

    Attributes:
        taps: {tap: its bytes in float32}; taps on the very same map stand for it once, under the first name.
        other_bytes: bytes of the maps, or parts of maps, that are no taps.
    """

    taps: Mapping[str, int]
    other_bytes: int

    def bytes(self, stored: Mapping[str, float]) -> float:
        """Return the bytes of the set where tap ``name`` takes ``stored[name]`` bytes."""
        return self.other_bytes + sum(stored.get(name, size) for name, size in self.taps.items())


def live_sets(network: nn.Module, image: Tensor) -> tuple[LiveSet, ...]:
    """Run ``network`` on ``image`` and return the sets of live maps that no other set contains.

    Parameters and buffers are no maps, nor are tables of indices. Which set is the largest depends on how the taps
    are stored, so all candidates are returned.
    """
    trace = _Trace([*network.parameters(), *network.buffers()])

    def listener(name: str) -> Callable[[Tensor], Tensor]:
        def mark(x: Tensor) -> Tensor:
            trace.name(x, name)
            return (
                x.detach()
            )  # the same storage, not the same tensor: attention is traced in its explicit form

        return mark

    listeners = {name: listener(name) for name in taps(network)}
    with torch.no_grad(), trace, listening(network, listeners):
        network(image)
    return trace.maximal_sets()


_Parts = dict[Any, tuple[str, int]]
"""The taps on one storage: {place in it: (tap, its bytes in float32)}."""


class LiveStorages(TorchDispatchMode):
    """Follows every map that is alive while this mode is active; ``owned`` tensors (parameters, inputs) are none.

    Attributes:
        now: bytes alive after the last operation.
        most: the largest ``now`` so far.
    """

    def __init__(self, owned: Iterable[Tensor]) -> None:
        super().__init__()
        self._owned = {tensor.untyped_storage()._cdata for tensor in owned}
        self._alive: dict[int, tuple[StorageWeakRef, int]] = {}
        self.now = self.most = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        for tensor in tree_iter((args, out)):
            if isinstance(tensor, Tensor):
                self._see(tensor)
        for key in [key for key, (reference, _) in self._alive.items() if reference.expired()]:
            del self._alive[key]
        self.now = sum(size for _, size in self._alive.values())
        self.most = max(self.most, self.now)
        self.look()
        return out

    def look(self) -> None:
        """Called after every operation."""

    def _see(self, tensor: Tensor) -> None:
        storage = tensor.untyped_storage()
        key = storage._cdata
        known = self._alive.get(key)
        if key in self._owned or (known is not None and not known[0].expired()):
            return
        self._alive[key] = (StorageWeakRef(storage), storage.nbytes())


class _Trace(LiveStorages):
    """Notes which maps are alive together, and which of them, or which parts of them, are taps.

    A map that is a tap is one from the moment it is made: whoever stores it prunes, quantizes and codes it as it comes.
    So the set after an operation is settled when the next one is over, with the names that were given in between.
    """

    def __init__(self, owned: Iterable[Tensor]) -> None:
        super().__init__(owned)
        self._names: dict[int, tuple[StorageWeakRef, _Parts]] = {}
        self._sets: set[tuple[frozenset[tuple[str, int]], int]] = set()
        self._bytes = 0  # alive after the last operation
        self._parts: list[_Parts] = []  # what has names among it

    def name(self, x: Tensor, name: str) -> None:
        """Say that ``x``, all of its storage or a part of it, is the map of tap ``name``."""
        storage = x.untyped_storage()
        known = self._names.get(storage._cdata)
        if known is None or known[0].expired():  # the address of a dead storage may be given out again
            known = self._names[storage._cdata] = (StorageWeakRef(storage), {})
            self._parts.append(known[1])
        view = (x.storage_offset(), x.shape, x.stride())
        known[1].setdefault(view, (name, x.numel() * x.element_size()))

    def look(self) -> None:
        self._settle()
        self._bytes = self.now
        self._parts = [
            parts
            for key, (reference, parts) in self._names.items()
            if key in self._alive and not reference.expired()
        ]

    def _settle(self) -> None:
        named = frozenset(tap for parts in self._parts for tap in parts.values())
        self._sets.add((named, self._bytes - sum(size for _, size in named)))

    def _see(self, tensor: Tensor) -> None:
        if tensor.is_floating_point():
            super()._see(tensor)

    def maximal_sets(self) -> tuple[LiveSet, ...]:
        """Return the sets that no other contains."""
        self._settle()
        kept: list[tuple[frozenset[tuple[str, int]], int]] = []
        for named, other in sorted(self._sets, key=lambda one: (-len(one[0]), -one[1])):
            if not any(named <= larger and other <= bytes_ for larger, bytes_ in kept):
                kept.append((named, other))
        return tuple(LiveSet(dict(sorted(named)), other) for named, other in kept)
