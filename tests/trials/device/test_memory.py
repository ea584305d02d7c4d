"""What a trial has freed goes back to the system."""

from __future__ import annotations

import ctypes

import numpy as np
import psutil
import pytest

from trials.device.memory import giving_back_memory

PIECE = 64 * 1024
"""Bytes of an array that the C library takes from its heap rather than from the system."""


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "malloc_trim"), reason="the C library is not glibc")
def test_memory_that_was_freed_between_what_is_still_in_use_goes_back() -> None:
    kept: list[np.ndarray[tuple[int], np.dtype[np.uint8]]] = []

    def scattered() -> None:
        pieces = [np.ones(PIECE, np.uint8) for _ in range(4000)]  # 256 MB
        kept.extend(pieces[::100])

    before = resident()
    scattered()
    held = resident() - before
    giving_back_memory(lambda: kept)()
    given_back = resident() - before
    assert held > 200e6
    assert given_back < 50e6


def test_memory_goes_back_after_a_failure_too(monkeypatch: pytest.MonkeyPatch) -> None:
    given_back = []
    monkeypatch.setattr("trials.device.memory.give_back_memory", lambda: given_back.append(True))

    @giving_back_memory
    def failing() -> None:
        raise ArithmeticError("loss")

    with pytest.raises(ArithmeticError, match="loss"):
        failing()
    assert given_back == [True]


def resident() -> float:
    return float(psutil.Process().memory_info().rss)
