"""Copying a run to sinks in background threads, which can neither stop the sweep nor slow it down."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from results.sinks.follower import Follower
from results.sinks.sink import Sink
from results.storage.run_directory import RunDirectory

logger = logging.getLogger(__name__)

POLL_S = 5.0
"""Shortest pause between two polls."""

PAUSE_FACTOR = 10
"""The pause after a poll is at least this many times as long as the poll took."""

FINAL_POLL_S = 60.0
"""Time limit of the final poll."""


@contextmanager
def following(
    directory: RunDirectory, sinks: Sequence[Sink], *, poll_s: float = POLL_S, last_s: float = FINAL_POLL_S
) -> Iterator[None]:
    """Copy the run to ``sinks`` while the block runs, and a last time at its end.

    The first error of each sink is logged as a warning, further ones are not; every poll tries again. ``shrinksweep
    log`` copies whatever is missing at the end.
    """
    over = threading.Event()
    threads = [
        threading.Thread(target=_poll, args=(Follower(directory, sink), over, poll_s), daemon=True)
        for sink in sinks
    ]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        over.set()
        deadline = time.monotonic() + last_s
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))
            if thread.is_alive():
                logger.warning("a log of the run is not complete yet; `shrinksweep log` brings the rest")


def _poll(follower: Follower, over: threading.Event, poll_s: float) -> None:
    has_warned, took_s = False, 0.0
    while True:
        is_last = over.wait(max(poll_s, PAUSE_FACTOR * took_s))
        start = time.perf_counter()
        try:
            follower.finish() if is_last else follower.step()
        except Exception as error:  # a sink may raise anything, and the sweep must not stop
            if not has_warned:
                reason = (str(error).strip().splitlines() or [""])[0]
                logger.warning("the run could not be logged: %s: %s", type(error).__name__, reason)
            has_warned = True
        took_s = time.perf_counter() - start
        if is_last:
            return
