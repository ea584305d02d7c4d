"""State to bytes and back: plain tensors, numbers, text and lists, read with ``weights_only=True``."""

from __future__ import annotations

import io
from typing import Any

import torch

from results import RunDirectory
from trials.errors import CheckpointError

FORMAT = 1


def pack(state: dict[str, Any]) -> bytes:
    """Return ``state`` as the bytes that :func:`unpack` reads."""
    buffer = io.BytesIO()
    torch.save({"format": FORMAT, **state}, buffer)
    return buffer.getvalue()


def unpack(payload: bytes, device: torch.device | str = "cpu") -> dict[str, Any]:
    """Read what :func:`pack` wrote.

    Raises:
        CheckpointError: the bytes are no such state.
    """
    try:
        state = torch.load(io.BytesIO(payload), map_location=device, weights_only=True)
    except Exception as error:  # torch.load raises whatever its unpickler met
        raise CheckpointError(
            f"a checkpoint must hold plain tensors, but could not be read: {error}"
        ) from error
    if not isinstance(state, dict) or state.get("format") != FORMAT:
        raise CheckpointError(f"a checkpoint must have format {FORMAT}, but got {type(state).__name__}")
    return state


def newest(directory: RunDirectory, key: str) -> dict[str, Any] | None:
    """Return the newest state of trial ``key`` that reads as whole, or None."""
    for payload in directory.read_checkpoints(key):
        try:
            return unpack(payload)
        except CheckpointError:
            continue
    return None


def random_state() -> dict[str, Any]:
    """Return the state of torch's generators on this process."""
    cuda = torch.cuda.get_rng_state() if torch.cuda.is_available() else None
    return {"cpu": torch.get_rng_state(), "cuda": cuda}


def restore_random_state(state: dict[str, Any]) -> None:
    """Put back what :func:`random_state` returned."""
    torch.set_rng_state(state["cpu"].cpu())
    if state["cuda"] is not None and torch.cuda.is_available():
        torch.cuda.set_rng_state(state["cuda"].cpu())
