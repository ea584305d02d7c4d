"""All tests of this folder run kernels in Triton's interpreter, with few large tiles."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from search_space.supernet.fused import tiling


@pytest.fixture(autouse=True, scope="module")
def _interpreter() -> Iterator[None]:
    pytest.importorskip("triton", reason="the kernels need Triton, which is not installed")
    from search_space.supernet.fused.interpreter import interpreted

    with interpreted():
        yield


@pytest.fixture(autouse=True)
def _few_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every kernel have two tiles or so: the interpreter takes as long for a small tile as for a large one."""
    set_tiles(monkeypatch, positions=128, chunks=2)


def set_tiles(monkeypatch: pytest.MonkeyPatch, positions: int, chunks: int) -> None:
    """Set the positions of a tile and the number of chunks."""
    monkeypatch.setattr(tiling, "positions", lambda *_: positions)
    monkeypatch.setattr(tiling, "chunks", lambda *_: chunks)
