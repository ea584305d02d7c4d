"""One launch at a time writes to a run directory: who may, who may not, and what becomes of the dead."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from orchestrator.conductor import lease as leases
from orchestrator.conductor.lease import HeldError, Holder, holding, refuse_held
from results import Lease, RunDirectory


def quietly(text: str) -> None:
    """Say nothing."""


@pytest.fixture
def directory(tmp_path: Path) -> RunDirectory:
    return RunDirectory(tmp_path / "run", create=True)


@pytest.fixture
def elsewhere(directory: RunDirectory) -> Lease:
    """Return the lease of a launch on another host."""
    lease = Holder(directory).lease.model_copy(update={"host": "far", "machine": "far 1", "nonce": "theirs"})
    directory.write_lease(lease)
    return lease


def test_a_second_launch_is_refused_by_name_and_the_first_goes_on(directory: RunDirectory) -> None:
    with holding(directory, quietly) as holder:
        for take in (refuse_held, lambda d: holding(d, quietly).__enter__()):
            with pytest.raises(HeldError, match=f"held by process {os.getpid()} on "):
                take(directory)
        holder.check()
        assert directory.read_lease() is not None
    assert directory.read_lease() is None
    refuse_held(directory)


def test_the_lease_of_a_process_that_died_here_is_taken_over_at_once(directory: RunDirectory) -> None:
    script = (
        "import os, sys; from orchestrator.conductor.lease import Holder; from results import RunDirectory;"
        "directory = RunDirectory(sys.argv[1]); directory.write_lease(Holder(directory).lease); os._exit(9)"
    )
    subprocess.run([sys.executable, "-c", script, directory.uri], check=False)
    left = directory.read_lease()
    assert left is not None
    assert left.pid != os.getpid()
    refuse_held(directory)
    with holding(directory, quietly, sleep=at_most(1.0)) as holder:
        holder.check()


def test_a_process_id_that_was_given_away_again_is_not_the_dead_one(directory: RunDirectory) -> None:
    lease = Holder(directory).lease
    directory.write_lease(lease.model_copy(update={"process_started": lease.process_started - 100}))
    refuse_held(directory)


def test_a_silent_lease_of_another_host_is_waited_out(directory: RunDirectory, elsewhere: Lease) -> None:
    said: list[str] = []
    waits: list[float] = []
    refuse_held(directory)  # nothing is known of processes elsewhere
    with holding(directory, said.append, sleep=waits.append) as holder:
        holder.check()
    assert sum(waits) >= elsewhere.lasts_s
    assert "sign of life" in said[0]
    assert "on far" in said[0]


def test_a_lease_that_another_host_renews_is_respected(directory: RunDirectory, elsewhere: Lease) -> None:
    def renewed(seconds: float) -> None:
        later = elsewhere.renewed.replace(year=2100)
        directory.write_lease(elsewhere.model_copy(update={"renewed": later}))

    with pytest.raises(HeldError, match="on far"), holding(directory, quietly, sleep=renewed):
        pass
    assert directory.read_lease() != elsewhere


def test_of_two_that_write_at_once_one_is_refused(directory: RunDirectory, elsewhere: Lease) -> None:
    directory.remove_lease()

    def overwritten(seconds: float) -> None:
        directory.write_lease(elsewhere)

    with pytest.raises(HeldError), holding(directory, quietly, sleep=overwritten):
        pass
    assert directory.read_lease() == elsewhere


def test_of_many_that_start_at_once_one_gets_it(directory: RunDirectory) -> None:
    barrier, outcomes = threading.Barrier(8), list[str]()
    over = threading.Event()

    def attempt() -> None:
        barrier.wait()
        try:
            with holding(directory, quietly):
                outcomes.append("held")
                over.wait(10)
        except HeldError:
            outcomes.append("refused")
        if len(outcomes) == 8:
            over.set()

    threads = [threading.Thread(target=attempt) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["held"] + ["refused"] * 7


def test_a_launch_that_was_asleep_too_long_writes_no_more(directory: RunDirectory, elsewhere: Lease) -> None:
    now = 0.0
    holder = Holder(directory, clock=lambda: now)
    directory.write_lease(holder.lease)
    retrying = directory.retrying(holder.check)
    retrying.storage.write("file", b"1")
    directory.write_lease(elsewhere)
    now = holder.lease.lasts_s + 1
    with pytest.raises(HeldError, match="on far"):
        retrying.storage.write("file", b"2")
    assert directory.storage.read("file") == b"1"
    holder.give_back()
    assert directory.read_lease() == elsewhere


def test_an_overdue_lease_that_nobody_took_is_renewed(directory: RunDirectory) -> None:
    now = 0.0
    holder = Holder(directory, clock=lambda: now)
    now = holder.lease.lasts_s + 1
    holder.check()
    assert directory.read_lease() == holder.lease


def test_the_lease_is_renewed_while_it_is_held(
    directory: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leases, "RENEWED_EVERY_S", 0.01)
    with holding(directory, quietly) as holder:
        first = directory.read_lease()
        assert first is not None
        assert wait_until(lambda: directory.read_lease() != first)
        holder.check()


def test_a_storage_that_fails_while_renewing_is_tried_again(
    directory: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leases, "RENEWED_EVERY_S", 0.01)
    renew, failures = Holder.renew, iter([OSError("gone")] * 3)

    def sometimes(holder: Holder) -> None:
        for error in failures:
            raise error
        renew(holder)

    monkeypatch.setattr(Holder, "renew", sometimes)
    with holding(directory, quietly):
        first = directory.read_lease()
        assert wait_until(lambda: directory.read_lease() != first)


@pytest.mark.parametrize("content", [b"", b"{}", b"\x00\x01", b'{"nonce": 1}'])
def test_what_is_no_lease_holds_nobody_up(directory: RunDirectory, content: bytes) -> None:
    directory.storage.write("lease.json", content)
    assert directory.read_lease() is None
    assert [problem.path for problem in directory.problems()] == ["lease.json"]
    with holding(directory, quietly, sleep=at_most(1.0)) as holder:
        holder.check()


def at_most(limit: float) -> Callable[[float], Any]:
    def sleep(seconds: float) -> None:
        assert seconds <= limit

    return sleep


def wait_until(holds: Callable[[], bool]) -> bool:
    poll = threading.Event()
    return any(holds() or poll.wait(0.01) for _ in range(1000))
