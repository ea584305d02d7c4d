"""Being asked to end: Ctrl-C, SIGTERM (Slurm, Kubernetes, Docker, spot nodes), SIGHUP (a terminal that closes).

While trials run, the first request ends the launch in order: each trial ends after its current epoch, which is then on
storage, and the lease is released. Before and after that, and at the second request, the launch ends at once. Ray's own
handler would abort the process at SIGTERM, so these handlers are installed again after Ray has started.
"""

from __future__ import annotations

import os
import signal
import stat
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType

from orchestrator.errors import LaunchError

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class InterruptedLaunchError(LaunchError):
    """The launch was asked to end."""


class Requests:
    """The requests to end that this process gets.

    Args:
        notify: called with one line of text at the first request, inside a signal handler.
    """

    def __init__(self, notify: Callable[[str], None]) -> None:
        self._notify = notify
        self._end: Callable[[InterruptedLaunchError], None] | None = None
        self._count = 0

    @contextmanager
    def passed_to(self, end: Callable[[InterruptedLaunchError], None]) -> Iterator[None]:
        """Inside the block, call ``end`` at the first request. Otherwise a request raises KeyboardInterrupt."""
        self._end = end
        try:
            yield
        finally:
            self._end = None

    def handle(self, number: int, frame: FrameType | None = None) -> None:
        """Handle a signal."""
        self._count += 1
        name = signal.Signals(number).name
        if number == signal.SIGHUP:
            leave_closed_terminal()
        if self._end is None or self._count > 1:
            if self._count == 1:
                self._notify(f"{name}: stopping")
            raise KeyboardInterrupt
        self._notify(f"{name}: stopping after the current epochs; again to kill")
        self._end(InterruptedLaunchError(name))


def leave_closed_terminal() -> None:
    """Send output to nowhere if it goes to a terminal that is closed: every line would be an error."""
    for handle in (1, 2):
        with suppress(OSError):
            if stat.S_ISCHR(os.fstat(handle).st_mode) and not os.isatty(handle):
                os.dup2(os.open(os.devnull, os.O_WRONLY), handle)


@contextmanager
def listening(notify: Callable[[str], None]) -> Iterator[Requests]:
    """Yield the requests that arrive inside the block.

    Signals that this process was told to ignore, as by ``nohup``, stay ignored. Off the main thread no signal arrives.
    """
    requests = Requests(notify)
    if threading.current_thread() is not threading.main_thread():
        yield requests
        return
    before = {number: signal.getsignal(number) for number in SIGNALS}
    caught = [number for number in SIGNALS if before[number] != signal.SIG_IGN]
    for number in caught:
        signal.signal(number, requests.handle)
    try:
        yield requests
    finally:
        for number in caught:
            signal.signal(number, before[number] or signal.SIG_DFL)
