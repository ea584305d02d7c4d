"""Reader processes: decode image files ahead of the training step.

They do not import torch, do not draw random numbers, and exit with their parent process.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import lru_cache

from trials.data.sources.arrays import Pixels, Shape
from trials.data.sources.file_list import decode_files
from trials.errors import TrialError

PREFETCHED_BATCHES = 2
"""Batches that are prefetched per reader process."""


def decode_batches(
    batches: Iterator[list[str]], size: int | None, shape: Shape, workers: int
) -> Iterator[Pixels]:
    """Decode batches of files to uint8 [B, C, H, W], in order, with prefetching.

    Args:
        batches: the files of each batch.
        size: side to which images are resized, in pixels; None: original size.
        shape: required shape [C, H, W] of every image.
        workers: reader processes, shared by all callers in this process; 0: decode in this process.

    Raises:
        DataError: a file that is not an image of ``shape``.
        TrialError: a reader process died.
    """
    if not workers:
        for files in batches:
            yield decode_files(files, size, shape)
        return
    pending: deque[Future[Pixels]] = deque()
    pool = reader_pool(workers)
    try:
        for files in batches:
            pending.append(pool.submit(decode_files, files, size, shape))
            if len(pending) > PREFETCHED_BATCHES * workers:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    except BrokenProcessPool as error:
        reader_pool.cache_clear()  # the next epoch starts a new pool
        raise TrialError(
            "reader processes must live as long as the trial, but one died: out of memory?"
        ) from error
    finally:
        for future in pending:
            future.cancel()


@lru_cache(maxsize=1)
def reader_pool(workers: int) -> ProcessPoolExecutor:
    """Return the reader processes of this process. Later epochs and trials reuse them."""
    spawn = multiprocessing.get_context("spawn")  # a fork would copy locks that torch's threads hold
    return ProcessPoolExecutor(workers, mp_context=spawn, initializer=_initialize_reader)


def _initialize_reader() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C ends the trial, which ends its readers
    parent = multiprocessing.parent_process()
    assert parent is not None
    threading.Thread(target=_exit_after, args=(parent.join,), daemon=True).start()


def _exit_after(wait: Callable[[], None]) -> None:
    """Exit when ``wait`` returns. A reader whose trial was killed would otherwise wait for work forever."""
    wait()
    os._exit(1)
