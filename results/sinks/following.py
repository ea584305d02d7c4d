"""Following a run into sinks while something else goes on: a thread that can neither fail it nor slow it."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from results.sinks.follower import Follower, Sink
from results.storage.run_directory import RunDirectory

logger = logging.getLogger(__name__)

POLL_S = 5.0
"""Time between two looks, at least."""

REST = 10
"""Of the time that a look took, so many times are left to others before the next."""

LAST_S = 60.0
"""What the last look may take before it is left behind."""


@contextmanager
def following(
    directory: RunDirectory, sinks: Sequence[Sink], *, poll_s: float = POLL_S, last_s: float = LAST_S
) -> Iterator[None]:
    """Bring the run to ``sinks`` while the block runs, and a last time at its end.

    The first error of each sink is a warning in the log, further ones are not told: it is tried again and
    again, and whatever is missing in the end, ``shrinksweep log`` brings there.
    """
    over = threading.Event()
    threads = [
        threading.Thread(target=_follow, args=(Follower(directory, sink), over, poll_s), daemon=True)
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


def _follow(follower: Follower, over: threading.Event, poll_s: float) -> None:
    told, took = False, 0.0
    while True:
        last = over.wait(max(poll_s, REST * took))
        began = time.perf_counter()
        try:
            follower.finish() if last else follower.step()
        except Exception as error:  # a sink may raise anything, and the sweep must go on
            if not told:
                reason = (str(error).strip().splitlines() or [""])[0]
                logger.warning("the run could not be logged: %s: %s", type(error).__name__, reason)
            told = True
        took = time.perf_counter() - began
        if last:
            return
