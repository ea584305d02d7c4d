"""Memory that a trial has freed is returned to the system."""

from __future__ import annotations

import ctypes

import numpy as np
import psutil
import pytest

from trials.device.memory import give_back_memory, giving_back_memory

PIECE = 64 * 1024
"""Size of an array that the C library allocates from its heap, in bytes."""


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "malloc_trim"), reason="the C library is not glibc")
def test_free_memory_between_used_pieces_is_returned() -> None:
    kept: list[np.ndarray[tuple[int], np.dtype[np.uint8]]] = []

    def fragment() -> None:
        pieces = [np.ones(PIECE, np.uint8) for _ in range(4000)]  # 256 MB
        kept.extend(pieces[::100])

    give_back_memory()  # else the pieces go to free memory that earlier tests have left, and nothing grows
    before = resident()
    fragment()
    held = resident() - before
    giving_back_memory(lambda: kept)()
    remaining = resident() - before
    assert held > 200e6
    assert remaining < 50e6


def test_memory_is_returned_after_an_exception_too(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    monkeypatch.setattr("trials.device.memory.give_back_memory", lambda: calls.append(True))

    @giving_back_memory
    def failing() -> None:
        raise ArithmeticError("loss")

    with pytest.raises(ArithmeticError, match="loss"):
        failing()
    assert calls == [True]


def resident() -> float:
    """Return the resident memory of this process, in bytes."""
    return float(psutil.Process().memory_info().rss)
