"""The lease on a run directory: one launch writes at a time, and dead ones are replaced."""

from __future__ import annotations

import json
import math
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from orchestrator.conductor import lease as leases
from orchestrator.conductor.lease import HeldError, Holder, holding, refuse_held
from results import Lease, LostLeaseError, RunDirectory
from tests.doubles.waiting import wait_for


def quietly(text: str) -> None:
    """Say nothing."""


def quickly(seconds: float) -> None:
    """Do not wait."""


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
    lease = directory.read_lease()
    assert lease is not None
    assert lease.released
    assert directory.fences() == set()
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


def test_a_process_with_a_reused_id_does_not_hold_the_lease_of_the_dead_one(directory: RunDirectory) -> None:
    lease = Holder(directory).lease
    directory.write_lease(lease.model_copy(update={"process_started": lease.process_started - 100}))
    refuse_held(directory)


def test_a_silent_lease_of_another_host_is_waited_out(directory: RunDirectory, elsewhere: Lease) -> None:
    said: list[str] = []
    waits: list[float] = []
    refuse_held(directory)  # processes of another machine cannot be looked up
    with holding(directory, said.append, sleep=waits.append) as holder:
        holder.check()
    assert sum(waits) >= elsewhere.lasts_s
    assert "to see whether another launch is alive" in said[0]
    assert "on far" in said[0]


def test_a_lease_that_another_host_renews_is_respected(directory: RunDirectory, elsewhere: Lease) -> None:
    def renewed(seconds: float) -> None:
        later = elsewhere.renewed.replace(year=2100)
        directory.write_lease(elsewhere.model_copy(update={"renewed": later}))

    with pytest.raises(HeldError, match="on far"), holding(directory, quietly, sleep=renewed):
        pass
    assert directory.read_lease() != elsewhere


def test_of_two_launches_that_write_at_the_same_time_one_is_refused(
    directory: RunDirectory, elsewhere: Lease
) -> None:
    directory.storage.remove("lease.json")

    def overwritten(seconds: float) -> None:
        directory.write_lease(elsewhere)

    with pytest.raises(HeldError), holding(directory, quietly, sleep=overwritten):
        pass
    assert directory.read_lease() == elsewhere


def test_of_many_launches_that_start_at_the_same_time_one_gets_the_lease(directory: RunDirectory) -> None:
    barrier, outcomes = threading.Barrier(8), list[str]()
    over = threading.Event()

    def note(outcome: str) -> None:
        outcomes.append(outcome)
        if len(outcomes) == 8:
            over.set()

    def attempt() -> None:
        barrier.wait()
        try:
            with holding(directory, quietly):
                note("held")
                over.wait(10)
        except HeldError:
            note("refused")

    threads = [threading.Thread(target=attempt) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["held"] + ["refused"] * 7


def test_an_overdue_lease_is_renewed_if_no_other_launch_took_it(directory: RunDirectory) -> None:
    now = 0.0
    holder = Holder(directory, clock=lambda: now)
    holder.take(quickly)
    now = holder.lease.lasts_s + 1
    holder.check()
    assert directory.read_lease() == holder.lease


def test_a_launch_that_wakes_up_after_another_took_the_run_over_changes_nothing(
    directory: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 0.0
    sleeper = Holder(directory, clock=lambda: now)
    sleeper.take(quickly)
    directory.storage.write("ledger/file", b"1")
    monkeypatch.setattr(leases, "machine_name", lambda: "another host")
    with holding(directory, quietly, sleep=quickly) as successor:
        successor.directory.storage.write("ledger/file", b"2")
        now = 66.0
        with pytest.raises(LostLeaseError):
            sleeper.directory.storage.write("ledger/file", b"1 again")
        with pytest.raises(LostLeaseError):
            sleeper.check()
        assert "was taken over by process" in str(sleeper.why_lost())
        sleeper.release()
        successor.check()
        assert directory.read_lease() == successor.lease
    assert successor.lease.token == sleeper.lease.token + 1
    now = 666.0  # the successor has left, and still the run is not the sleeper's
    for attempt in (
        sleeper.renew,
        sleeper.check,
        lambda: sleeper.directory.storage.write("ledger/file", b""),
    ):
        with suppress(LostLeaseError):
            attempt()
    assert directory.read_lease() == successor.lease
    assert directory.storage.read("ledger/file") == b"2"


def test_a_renewal_that_was_on_its_way_for_minutes_does_not_arrive(
    directory: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    sleeper = Holder(directory)
    sleeper.take(quickly)
    successor = Holder(directory)
    read = RunDirectory.read_lease

    def slow(reading: RunDirectory) -> Lease | None:
        found = read(reading)
        monkeypatch.setattr(RunDirectory, "read_lease", read)
        successor.take(quickly)  # while the sleeper is between reading the lease and writing it
        return found

    monkeypatch.setattr(RunDirectory, "read_lease", slow)
    sleeper.renew()
    with pytest.raises(LostLeaseError):
        sleeper.check()
    assert directory.read_lease() == successor.lease


@pytest.mark.parametrize("what", ["the lease", "the folder", "the lease of another run"])
def test_a_launch_whose_lease_is_gone_ends(directory: RunDirectory, what: str) -> None:
    holder = Holder(directory)
    holder.take(quickly)
    if what == "the lease":
        directory.storage.remove("lease.json")
    elif what == "the folder":
        shutil.rmtree(directory.uri)
    else:
        stranger = RunDirectory(Path(directory.uri).parent / "stranger", create=True)
        Holder(stranger).take(quickly)
        shutil.rmtree(directory.uri)
        Path(stranger.uri).rename(directory.uri)
    holder.renew()
    with pytest.raises(LostLeaseError):
        holder.check()
    holder.release()
    assert Path(directory.uri).exists() == (what != "the folder")


def test_a_late_lease_of_an_earlier_launch_is_replaced(directory: RunDirectory) -> None:
    earlier, holder = Holder(directory), Holder(directory)
    earlier.take(quickly)
    holder = Holder(directory)
    holder.take(quickly)
    directory.write_lease(earlier.lease)  # its put reached the object store after the takeover
    holder.renew()
    holder.check()
    assert directory.read_lease() == holder.lease


def test_tokens_grow_even_if_the_lease_was_deleted(directory: RunDirectory) -> None:
    tokens = []
    for _ in range(2):
        with holding(directory, quietly, sleep=quickly) as holder:
            tokens.append(holder.lease.token)
    directory.write_sweep({"name": "x"}, {})
    directory.storage.remove("lease.json")
    with holding(directory, quietly, sleep=quickly) as holder:
        tokens.append(holder.lease.token)
    assert tokens[:2] == [1, 2]
    assert tokens[2] > 1_000_000_000


def test_the_lease_is_renewed_while_it_is_held(
    directory: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leases, "RENEW_EVERY_S", 0.01)
    with holding(directory, quietly) as holder:
        first = directory.read_lease()
        assert first is not None
        wait_for(lambda: directory.read_lease() != first, "the lease is renewed", timeout_s=10)
        holder.check()


def test_renewing_is_retried_when_storage_fails(
    directory: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leases, "RENEW_EVERY_S", 0.01)
    renew, failures = Holder.renew, iter([OSError("gone")] * 3)

    def sometimes(holder: Holder) -> None:
        for error in failures:
            raise error
        renew(holder)

    monkeypatch.setattr(Holder, "renew", sometimes)
    with holding(directory, quietly):
        first = directory.read_lease()
        wait_for(lambda: directory.read_lease() != first, "the lease is renewed", timeout_s=10)


STRANGE = [
    {"lasts_s": math.nan}, {"lasts_s": 1e9}, {"lasts_s": -1.0}, {"lasts_s": math.inf}, {"pid": -1}, {"pid": 2**40},
    {"process_started": math.nan}, {"token": -1}, {"token": 10**30}, {"renewed": "2026-01-31T08:00:00"},
    {"host": "x" * 1_000_000},
]  # fmt: skip


@pytest.mark.parametrize(
    "content", [b"", b"{}", b"\x00\x01", b'{"nonce": 1}', *STRANGE], ids=lambda c: str(c)[:40]
)
def test_a_broken_lease_file_does_not_block_a_launch(
    directory: RunDirectory, content: bytes | dict[str, object]
) -> None:
    if isinstance(content, dict):
        fields = json.loads(Holder(directory).lease.to_json()) | {"machine": "far"} | content
        content = json.dumps(fields).encode()
    directory.storage.write("lease.json", content)
    assert directory.read_lease() is None
    assert [problem.path for problem in directory.problems()] == ["lease.json"]
    with holding(directory, quietly, sleep=at_most(1.0)) as holder:
        holder.check()


def at_most(limit: float) -> Callable[[float], None]:
    def sleep(seconds: float) -> None:
        assert seconds <= limit

    return sleep
