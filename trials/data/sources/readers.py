"""Processes that decode image files ahead of the training step.

They load no torch, draw no random numbers, and end when the process that started them does.
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
from trials.data.sources.image_folder import decode_files
from trials.errors import TrialError

BATCHES_AHEAD = 2
"""Batches a reader process works on ahead of the step that needs them."""


def decoded(batches: Iterator[list[str]], size: int | None, shape: Shape, workers: int) -> Iterator[Pixels]:
    """Yield each list of files as uint8 [B, C, H, W], in order, a few lists ahead of what was asked for.

    ``workers``: reader processes, shared by all callers in this process; 0: decode right here. Raises DataError for
    a file that is no image of ``shape`` [C, H, W], TrialError where a reader dies.
    """
    if not workers:
        for files in batches:
            yield decode_files(files, size, shape)
        return
    waiting: deque[Future[Pixels]] = deque()
    processes = readers(workers)
    try:
        for files in batches:
            waiting.append(processes.submit(decode_files, files, size, shape))
            if len(waiting) > BATCHES_AHEAD * workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    except BrokenProcessPool as fault:
        readers.cache_clear()  # the next epoch starts new ones
        raise TrialError(
            "reader processes must live as long as the trial, but one died: out of memory?"
        ) from fault
    finally:
        for future in waiting:
            future.cancel()


@lru_cache(maxsize=1)
def readers(workers: int) -> ProcessPoolExecutor:
    """Return this process's readers: started when first needed, kept for its later epochs and trials."""
    fresh = multiprocessing.get_context("spawn")  # a fork would copy locks that torch's threads hold
    return ProcessPoolExecutor(workers, mp_context=fresh, initializer=_begin)


def _begin() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the trial, which ends its readers
    parent = multiprocessing.parent_process()
    assert parent is not None
    threading.Thread(target=_end_after, args=(parent.join,), daemon=True).start()


def _end_after(wait: Callable[[], None]) -> None:
    """End a reader whose trial was killed: it would wait for work forever."""
    wait()
    os._exit(1)
