"""A step that is recorded as a CUDA graph and replayed: one launch in place of thousands.

A recorded step repeats the same kernels on the same addresses. So it reads and writes fixed tensors only, copies
nothing from the host and reads nothing back. Whatever Python decides in it is decided once.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

import torch

from trials.device.compute import Compute
from trials.device.parallel import Mesh

logger = logging.getLogger(__name__)

EAGER_STEPS = 3
"""Steps before the recording: libraries choose their algorithms in them, and optimizers allocate their states."""


def can_record(compute: Compute, mesh: Mesh) -> bool:
    """Return whether the steps of a rank are recorded: on a GPU, if asked for, and without operations of gloo.

    Gloo's are done by the CPU, which a graph cannot hold. Rank 0 says so.
    """
    if compute.graph and not mesh.can_be_recorded and mesh.rank == 0:
        logger.warning(
            "steps run eagerly: ranks that share a GPU communicate over gloo, which no CUDA graph can hold"
        )
    return compute.graph and mesh.can_be_recorded


class ReplayedStep:
    """Callable that runs ``step``. On a GPU, its first calls run eagerly, later ones replay a recorded CUDA graph.

    A recording runs nothing, so every call is one step, with the results of an eager one. A step that cannot be
    recorded runs eagerly, which is logged once.

    Args:
        step: a function of fixed tensors.
        record: whether to record; False: every call is eager.
    """

    def __init__(self, step: Callable[[], None], *, record: bool) -> None:
        self._step, self._record = step, record
        self._eager_steps = 0
        self._graph: torch.cuda.CUDAGraph | None = None
        self._stream: torch.cuda.Stream | None = None

    def __call__(self) -> None:
        """Take one step."""
        if self._record and self._eager_steps >= EAGER_STEPS and self._graph is None:
            self._graph = self._recorded()
        if self._graph is not None:
            self._graph.replay()
        elif self._record:
            self._eager_steps += 1
            self._on_side_stream()
        else:
            self._step()

    def forget(self) -> None:
        """Discard the recording: something that it holds has changed, such as a tensor or a number of the step."""
        self._graph, self._eager_steps = None, 0

    def _on_side_stream(self) -> None:
        """Run the step on a side stream, as torch asks for before a recording."""
        if self._stream is None:  # the same for all steps: every stream keeps free memory of its own
            self._stream = torch.cuda.Stream()
        self._stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self._stream):
            self._step()
        torch.cuda.current_stream().wait_stream(self._stream)

    def _recorded(self) -> torch.cuda.CUDAGraph | None:
        graph, stream = torch.cuda.CUDAGraph(), torch.cuda.current_stream()
        torch.cuda.synchronize()
        try:
            # thread_local: trials run in a thread of an actor, and others of its threads may use the GPU.
            with torch.cuda.graph(graph, capture_error_mode="thread_local"):
                self._step()
        except RuntimeError as error:
            torch.cuda.set_stream(stream)  # a recording that fails leaves its own stream in place
            self._record = False
            reason = _cause(error)
            logger.warning("steps run eagerly: this one cannot be recorded as a CUDA graph: %s", reason)
            return None
        return graph


def _cause(error: BaseException) -> str:
    """Return the first line of the first error: what it caused, up to the end of the recording, says less."""
    while error.__context__ is not None:
        error = error.__context__
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
