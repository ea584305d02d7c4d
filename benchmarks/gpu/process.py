"""A section in a process of its own, with a time limit.

The process is forked from one that has imported torch and never touched the GPU: an import takes seconds, and nine
minutes hold eleven sections. Whatever a section breaks (its memory, the state of the GPU, the process itself) ends with
its process, and with all processes that it has started.
"""

from __future__ import annotations

import multiprocessing
import os
import re
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

LAST_LINES = 15
"""Lines of output that are kept of a section that failed."""
ERROR = re.compile(r"[\w.]+(Error|Exception|Interrupt|Exit)\b")
"""The line of a traceback that names the exception."""
KILL_S = 5.0
"""Seconds that a killed process may take to disappear."""


@dataclass(frozen=True)
class Outcome:
    """How a process ended."""

    state: str
    """``done``, ``failed``, ``timeout``, ``out of memory`` or ``killed``."""
    seconds: float
    reason: str
    """Empty if it is done."""
    last_lines: tuple[str, ...]
    """The end of its output; empty if it is done."""


def run(work: Callable[[], None], limit_s: float, log: Path) -> Outcome:
    """Call ``work`` in a forked process, which is killed after ``limit_s`` seconds; its output goes to ``log``."""
    start = time.monotonic()
    process = multiprocessing.get_context("fork").Process(target=_call, args=(work, log))
    process.start()
    process.join(limit_s)
    timed_out = process.is_alive()
    _kill_group(process.pid)  # also what a section that has ended left running
    if timed_out:
        process.kill()
        process.join(KILL_S)
    seconds = time.monotonic() - start
    lines = _last_lines(log)
    if timed_out:
        return Outcome("timeout", seconds, f"not done after {limit_s:.0f} s", lines)
    if process.exitcode == 0:
        return Outcome("done", seconds, "", ())
    return _ended(process.exitcode, seconds, lines)


def _ended(code: int | None, seconds: float, lines: tuple[str, ...]) -> Outcome:
    if code is not None and code < 0:
        name = signal.Signals(-code).name
        hint = "; the system may have run out of memory" if name == "SIGKILL" else ""
        return Outcome("killed", seconds, f"ended by {name}{hint}", lines)
    errors = [line for line in lines if ERROR.match(line)] or list(lines)
    last = errors[-1] if errors else f"exit status {code}"
    memory = any("OutOfMemoryError" in line or line.startswith("MemoryError") for line in lines)
    state = "out of memory" if memory else "failed"
    return Outcome(state, seconds, last, lines)


def _call(work: Callable[[], None], log: Path) -> None:
    """Run in the new process: a process group of its own, output to ``log``."""
    os.setsid()
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # a parent that has loaded Ray handles it
    with log.open("w") as file:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
            os.dup2(file.fileno(), stream.fileno())
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]  # a killed process keeps its lines
    work()  # multiprocessing prints an exception and exits with 1


def _kill_group(pid: int | None) -> None:
    if pid is not None:
        try:
            os.killpg(pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            return


def _last_lines(log: Path) -> tuple[str, ...]:
    text = log.read_text(errors="replace") if log.exists() else ""
    return tuple(line.rstrip() for line in text.splitlines() if line.strip())[-LAST_LINES:]
