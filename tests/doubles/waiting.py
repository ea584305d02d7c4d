"""Programs in processes of their own, and waiting for something that they do."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TypeVar

POLL_S = 0.05
"""Seconds between two looks."""

T = TypeVar("T")


@contextmanager
def python_program(
    *arguments: str, environment: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[str]]:
    """Run Python with these arguments, and kill it after the ``with`` block. Its output includes its errors."""
    process = subprocess.Popen(
        [sys.executable, *arguments],
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
            process.communicate()


def wait_for(
    condition: Callable[[], T],
    what: str,
    *,
    timeout_s: float = 120.0,
    process: subprocess.Popen[str] | None = None,
) -> T:
    """Return the first true value of ``condition()``.

    Args:
        condition: called about every 50 ms.
        what: what is waited for, as a clause such as "the lease is renewed": it ends the error message.
        timeout_s: how long to wait.
        process: the process that is to bring it about.

    Raises:
        TimeoutError: the condition was not true in time.
        ChildProcessError: the process ended before; the message has its output.
    """
    deadline = time.monotonic() + timeout_s
    while not (value := condition()):
        if process is not None and process.poll() is not None:
            output = "\n".join(filter(None, process.communicate()))
            raise ChildProcessError(
                f"the process must run until {what}, but it ended with status {process.returncode}:\n{output}"
            )
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {timeout_s:g} s in vain until {what}")
        time.sleep(POLL_S)
    return value
