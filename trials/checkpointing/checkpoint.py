"""Serialization of a trial's state; reading cannot execute code (``torch.load`` with ``weights_only=True``)."""

from __future__ import annotations

import io
import zipfile
from typing import Any, TypeAlias, TypedDict

import torch
from torch import Tensor

from results import RunDirectory
from trials.errors import CheckpointError

FORMAT = 1
"""Version of the serialized form."""

State: TypeAlias = dict[str, Any]
"""A state dict: text keys; values are tensors, numbers, text, None, and lists and dicts of these."""


class RandomState(TypedDict):
    """State of torch's random generators in one process."""

    cpu: Tensor
    cuda: Tensor | None


def pack(state: State) -> bytes:
    """Serialize ``state`` to bytes."""
    buffer = io.BytesIO()
    torch.save({"format": FORMAT, **state}, buffer)
    return buffer.getvalue()


def unpack(payload: bytes, device: torch.device | str = "cpu") -> State:
    """Deserialize a state that :func:`pack` serialized, its tensors on ``device``.

    Raises:
        CheckpointError: damaged bytes, another format, or objects that are not allowed in a state.
    """
    _refuse_unfolding(payload)
    try:
        state = torch.load(io.BytesIO(payload), map_location=device, weights_only=True)
    except Exception as error:  # torch.load raises whatever its unpickler met
        raise CheckpointError(
            f"a checkpoint must hold plain tensors, but could not be read: {error}"
        ) from error
    if not isinstance(state, dict) or state.get("format") != FORMAT:
        raise CheckpointError(f"a checkpoint must have format {FORMAT}, but got {type(state).__name__}")
    return state


def _refuse_unfolding(payload: bytes) -> None:
    """Check that a state is as large as its bytes: ``torch.save`` does not compress, but ``torch.load`` would unfold.

    Raises:
        CheckpointError: it is compressed, its parts overlap, or it is no archive.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(payload)) as archive:
            parts = archive.infolist()
    except (zipfile.BadZipFile, ValueError, OSError) as error:
        raise CheckpointError(f"a checkpoint must be an archive of plain tensors, but {error}") from error
    size = sum(part.file_size for part in parts)
    if size > len(payload):
        raise CheckpointError(
            f"a checkpoint must not unfold, but its {len(payload):,} bytes claim to hold {size:,}"
        )


def newest(directory: RunDirectory, key: str) -> State | None:
    """Return the newest intact checkpoint stored under ``key``, or None."""
    for payload in directory.read_checkpoints(key):
        try:
            return unpack(payload)
        except CheckpointError:
            continue
    return None


def random_state() -> RandomState:
    """Return the state of torch's random generators in this process."""
    cuda = torch.cuda.get_rng_state() if torch.cuda.is_available() else None
    return {"cpu": torch.get_rng_state(), "cuda": cuda}


def restore_random_state(state: RandomState) -> None:
    """Restore a state that :func:`random_state` returned."""
    torch.set_rng_state(state["cpu"].cpu())
    if state["cuda"] is not None and torch.cuda.is_available():
        torch.cuda.set_rng_state(state["cuda"].cpu())
