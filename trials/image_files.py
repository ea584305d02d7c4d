"""Images that stay in files: decoded batch by batch in reader processes, ahead of the training step.

The reader processes load no torch, draw no random numbers, and end when the process that started them does.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from trials.errors import TrialError
from trials.sources import Shape
from trials.sources.arrays import Pixels
from trials.sources.image_folder import decode_files

BATCHES_AHEAD = 2
"""Batches a reader process works on ahead of the step that needs them."""


@dataclass(frozen=True)
class ImageFiles:
    """Images in files; the same interface as :class:`trials.image_set.ImageSet`, without ``pixels``."""

    files: tuple[str, ...]
    labels: Tensor
    """int64 [N] on the device."""
    mean: Tensor
    """float64 [C] of a sample of the training images, their pixels scaled to 0..1."""
    std: Tensor
    """float64 [C] of a sample of the training images, their pixels scaled to 0..1."""
    shape: Shape
    image_size: int | None
    workers: int
    """Reader processes, shared by all sets of this process; 0: decode in the process itself."""

    def __len__(self) -> int:
        return len(self.files)

    def stream(self, order: Tensor, steps: Sequence[slice]) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield (uint8 [B, C, H, W], int64 [B]) on the device, the images ``order[step]`` of each step."""
        device = self.labels.device
        chosen = order.to(device)
        batches = ([self.files[i] for i in order[step].tolist()] for step in steps)
        for step, pixels in zip(
            steps, decoded(batches, self.image_size, self.shape, self.workers), strict=True
        ):
            yield _moved(pixels, device), self.labels[chosen[step]]


def decoded(batches: Iterator[list[str]], size: int | None, shape: Shape, workers: int) -> Iterator[Pixels]:
    """Yield each list of files as uint8 [B, C, H, W], in order, a few lists ahead of what was asked for.

    Raises DataError for a file that is no image of ``shape``, TrialError where a reader process dies.
    """
    if not workers:
        for files in batches:
            yield decode_files(files, size, shape)
        return
    waiting: deque[Future[Pixels]] = deque()
    try:
        for files in batches:
            waiting.append(_readers(workers).submit(decode_files, files, size, shape))
            if len(waiting) > BATCHES_AHEAD * workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    except BrokenProcessPool as fault:
        _readers.cache_clear()  # the next epoch starts new ones
        raise TrialError(
            "reader processes must live as long as the trial, but one died: out of memory?"
        ) from fault
    finally:
        for future in waiting:
            future.cancel()


@lru_cache(maxsize=1)
def _readers(workers: int) -> ProcessPoolExecutor:
    """Return this process's readers: started when first needed, kept for its later epochs and trials."""
    fresh = multiprocessing.get_context("spawn")  # a fork would copy locks that torch's threads hold
    return ProcessPoolExecutor(workers, mp_context=fresh, initializer=_begin_reader)


def _begin_reader() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the trial, which ends its readers
    parent = multiprocessing.parent_process()
    assert parent is not None
    threading.Thread(target=_end_after, args=(parent.join,), daemon=True).start()


def _end_after(wait: Callable[[], None]) -> None:
    """End a reader whose trial was killed: it would wait for work forever."""
    wait()
    os._exit(1)


def _moved(pixels: Pixels, device: torch.device) -> Tensor:
    held = torch.from_numpy(pixels)
    return held.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else held
