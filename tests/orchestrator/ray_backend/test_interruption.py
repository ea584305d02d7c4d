"""Ctrl-C, SIGTERM and SIGHUP are one request: end in order; the second one ends at once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from orchestrator.ray_backend.cluster import _children_deaf_to
from orchestrator.ray_backend.interruption import SIGNALS, InterruptedLaunchError, listening


@pytest.mark.parametrize("number", SIGNALS)
def test_the_first_request_ends_in_order_and_the_second_at_once(number: int) -> None:
    before = [signal.getsignal(one) for one in SIGNALS]
    said: list[str] = []
    ended: list[InterruptedLaunchError] = []
    with listening(said.append) as requests, requests.passed_to(ended.append):
        os.kill(os.getpid(), number)
        assert [str(one) for one in ended] == [signal.Signals(number).name]
        assert said == [f"{ended[0]}: stopping after the current epochs; again to kill"]
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGTERM)
    assert [signal.getsignal(one) for one in SIGNALS] == before


def test_before_the_trials_run_a_request_ends_the_launch_at_once() -> None:
    said: list[str] = []
    with listening(said.append), pytest.raises(KeyboardInterrupt):
        os.kill(os.getpid(), signal.SIGTERM)
    assert said == ["SIGTERM: stopping"]


def test_a_signal_that_nohup_ignores_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with listening(lambda text: None):
            os.kill(os.getpid(), signal.SIGHUP)
            assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


HANG_UP = """
import sys, time
from orchestrator.ray_backend.interruption import listening
ended = []
with listening(lambda text: None) as requests, requests.passed_to(ended.append):
    print("ready", flush=True)
    while not ended:
        time.sleep(0.02)
    print("a line for a terminal that is gone", flush=True)
    open(sys.argv[1], "w").write("ended in order")
"""


def test_a_terminal_that_closes_breaks_no_line(tmp_path: Path) -> None:
    terminal, own = os.openpty()
    command = [sys.executable, "-c", HANG_UP, str(tmp_path / "end")]
    launch = subprocess.Popen(command, stdout=own, stderr=own, start_new_session=True)
    try:
        os.close(own)
        assert os.read(terminal, 100).startswith(b"ready")
        os.close(terminal)
        launch.send_signal(signal.SIGHUP)  # as the kernel does to the session that has the terminal
        assert launch.wait(30) == 0
    finally:
        launch.kill()
        launch.wait()
    assert (tmp_path / "end").read_text() == "ended in order"


def test_a_hang_up_reaches_the_launch_and_not_what_it_has_started_for_ray() -> None:
    with _children_deaf_to(signal.SIGHUP):
        deaf = subprocess.Popen(["sleep", "60"])
    hearing = subprocess.Popen(["sleep", "60"])
    try:
        for process in (deaf, hearing):
            process.send_signal(signal.SIGHUP)
        assert hearing.wait(10) == -signal.SIGHUP
        assert deaf.poll() is None
    finally:
        for process in (deaf, hearing):
            process.kill()
            process.wait()


def test_a_launch_in_a_thread_leaves_the_signals_alone() -> None:
    before, inside = signal.getsignal(signal.SIGTERM), []

    def launch() -> None:
        with listening(lambda text: None):
            inside.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=launch)
    thread.start()
    thread.join()
    assert inside == [before]
