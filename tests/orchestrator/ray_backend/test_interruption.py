"""Ctrl-C, SIGTERM and SIGHUP are one request: end in order; the second one ends at once."""

from __future__ import annotations

import os
import signal
import threading

import pytest

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


def test_a_launch_in_a_thread_leaves_the_signals_alone() -> None:
    before, inside = signal.getsignal(signal.SIGTERM), []

    def launch() -> None:
        with listening(lambda text: None):
            inside.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=launch)
    thread.start()
    thread.join()
    assert inside == [before]
