"""What ``benchmarks.faults`` does to a launch: kills, stops, a takeover, a lost run directory, a disk that fails."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from benchmarks.pretence import VARIABLE
from results import RunDirectory, open_run
from results.storage.run_directory import TrialVersion

TIMEOUT_S = 900.0
"""How long anything may take that has to happen."""

DISK_FAILS_S = 3.0

LOG = "log.txt"
"""File next to the switches: what all launches have said."""

DRIVER = """
import sys
from benchmarks import pretence
from benchmarks.faults import sweep
from orchestrator.launch import conduct
pretence.pretend_host(sys.argv[3])
outcome = conduct(sweep(int(sys.argv[2])), sys.argv[1], trial="benchmarks.pretence:disturbed_trial")
sys.exit(0 if outcome.complete and not outcome.failed else 1)
"""


@dataclass
class Disturber:
    """One sweep, the launch that runs it now, and what happened to it.

    Attributes:
        uri: of the run directory, perhaps with credentials.
        switches: folder of the switches of ``benchmarks.pretence``.
        seeds: the number of seeds in the sweep.
        interrupted: trials that ran when something that they needed was taken away.
        faults: what must not happen, and did.
    """

    uri: str
    switches: Path
    seeds: int
    interrupted: int = 0
    faults: list[str] = field(default_factory=list)
    _hosts: int = 0
    _driver: subprocess.Popen[bytes] | None = None

    @property
    def directory(self) -> RunDirectory:
        """The run directory, for reading."""
        return RunDirectory(self.uri)

    @property
    def driver(self) -> subprocess.Popen[bytes]:
        """The launch; started if there is none."""
        if self._driver is None:
            self._driver = self._start()
        return self._driver

    @property
    def over(self) -> bool:
        """Whether the launch has ended by itself."""
        return self._driver is not None and self._driver.poll() is not None

    def versions(self) -> dict[str, TrialVersion]:
        """Return the versions of the files of all trials: they differ when an epoch was stored."""
        return self.directory.versions()

    def extend(self) -> None:
        """Give the sweep more seeds if the launch has run all of its trials, and start another."""
        if self.driver.wait() != 0:
            self.faults.append("a launch ended by itself with failed trials, or none was left")
        self.seeds += max(1, self.seeds // 4)
        self._driver = None

    def finish(self) -> None:
        """Let the launch, or a new one, run to its end."""
        if self.over and self.driver.returncode != 0:
            self._driver = None
        if self.driver.wait() != 0:
            self.faults.append("the last launch must end without failed trials, but did not")

    # The events. Each returns whether it has happened.

    def kill_driver(self) -> bool:
        """Kill the launch alone."""
        return self._kill(lambda process: [process])

    def kill_everything(self) -> bool:
        """Kill the launch and all its processes."""
        return self._kill(lambda process: [process, *process.children(recursive=True)])

    def kill_raylet(self) -> bool:
        """Kill the node of the launch."""
        return self._kill(
            lambda process: [p for p in process.children(recursive=True) if p.name() == "raylet"]
        )

    def kill_trial(self) -> bool:
        """Kill the process of a trial."""
        victims = self._trials()[:1]
        for victim in victims:
            victim.kill()
            self.interrupted += 1
        return bool(victims)

    def stop_trial(self) -> bool:
        """Stop the process of a trial, and wait until it is found out."""
        before = self._stalls()
        victims = self._trials()[:1]
        for victim in victims:
            victim.suspend()
            self.interrupted += 1
            self._await(lambda: self.over or self._stalls() > before, "a stopped trial is found")
        return bool(victims)

    def take_over(self) -> bool:
        """Stop the launch with all its processes beyond its lease, launch on another host, and let it go on."""
        sleeper, token = self.driver, self._token()
        processes = _tree(sleeper)
        for process in processes:
            with suppress(psutil.NoSuchProcess):
                process.suspend()
        self.interrupted += self._running()
        self._hosts += 1
        self._driver = self._start()
        before = self.versions()
        self._await(
            lambda: self.over or (self._token() > token and self.versions() != before), "a host takes over"
        )
        for process in processes:
            with suppress(psutil.NoSuchProcess):
                process.resume()
        if sleeper.wait(TIMEOUT_S) == 0:
            self.faults.append("a launch that has lost its lease ended as if all was done")
        return True

    def take_directory_away(self) -> bool:
        """Move the run directory away, as an unmount does, and back when the launch has ended."""
        running, here = self._running(), Path(self.uri)
        away = here.rename(here.with_name("away"))
        if self.driver.wait(TIMEOUT_S) == 0:
            self.faults.append("a launch without its run directory ended as if all was done")
        if here.exists():
            self.faults.append("a run directory was made anew")
            here.rename(here.with_name(f"anew-{time.monotonic_ns()}"))
        away.rename(here)
        self.interrupted += running
        self._driver = None
        return True

    def fill_disk(self) -> bool:
        """Let no file be written for some seconds."""
        with self._switch("full"):
            time.sleep(DISK_FAILS_S)
        return True

    def spoil_disk(self) -> bool:
        """Let every third write fail for some seconds."""
        with self._switch("faulty"):
            time.sleep(DISK_FAILS_S)
        return True

    # Helpers

    def _kill(self, choose: Callable[[psutil.Process], list[psutil.Process]]) -> bool:
        try:
            victims = choose(psutil.Process(self.driver.pid))
        except psutil.NoSuchProcess:
            return False
        for victim in victims:
            with suppress(psutil.NoSuchProcess):
                victim.kill()
        if not victims:
            return False
        self.interrupted += max(1, self._running())
        self.driver.wait()
        self._driver = None
        return True

    def _start(self) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-c", DRIVER, self.uri, str(self.seeds), f"host{self._hosts}"]
        environment = os.environ | {VARIABLE: str(self.switches)}
        with (self.switches.parent / LOG).open("ab") as log:
            return subprocess.Popen(command, start_new_session=True, env=environment, stdout=log, stderr=log)

    def _trials(self) -> list[psutil.Process]:
        return [process for process in _tree(self.driver) if _runs_a_trial(process)]

    def _running(self) -> int:
        return int((open_run(self.uri).trials()["state"] == "running").sum())

    def _token(self) -> int:
        lease = self.directory.read_lease()
        return 0 if lease is None else lease.token

    def _stalls(self) -> int:
        ledger = self.directory.read_ledger()
        return sum(failure.kind == "Stalled" for entry in ledger for failure in entry.failures)

    def _await(self, condition: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + TIMEOUT_S
        while not condition():
            if time.monotonic() > deadline:
                self.faults.append(f"waited {TIMEOUT_S:g} s in vain until {what}")
                return
            time.sleep(0.2)

    @contextmanager
    def _switch(self, name: str) -> Iterator[None]:
        (self.switches / name).touch()
        try:
            yield
        finally:
            (self.switches / name).unlink()


@dataclass(frozen=True)
class Event:
    """A kind of disturbance."""

    happen: Callable[[Disturber], bool]
    a_round: int = 1
    """How often it happens in a round: what ends no launch costs little time."""
    on_s3: bool = True


EVENTS: dict[str, Event] = {
    "driver killed": Event(Disturber.kill_driver),
    "driver and its processes killed": Event(Disturber.kill_everything),
    "raylet killed": Event(Disturber.kill_raylet),
    "trial killed": Event(Disturber.kill_trial, 8),
    "trial stopped": Event(Disturber.stop_trial, 4),
    "launch stopped beyond its lease": Event(Disturber.take_over),
    "run directory taken away": Event(Disturber.take_directory_away, on_s3=False),
    "disk full": Event(Disturber.fill_disk, 6),
    "disk faulty": Event(Disturber.spoil_disk, 8),
}


def course(events: int, *, on_s3: bool = False) -> list[str]:
    """Return the names of events in random order: each kind once, then rounds of all."""
    chance, names = random.Random(0), list[str]()
    kinds = {name: event for name, event in EVENTS.items() if event.on_s3 or not on_s3}
    while len(names) < events:
        a_round = [name for name, event in kinds.items() for _ in range(event.a_round if names else 1)]
        chance.shuffle(a_round)
        names += a_round
    return names[:events]


def _tree(driver: subprocess.Popen[bytes]) -> list[psutil.Process]:
    try:
        process = psutil.Process(driver.pid)
        return [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def _runs_a_trial(process: psutil.Process) -> bool:
    try:
        return "ray::ImplicitFunc" in " ".join(process.cmdline())
    except psutil.NoSuchProcess:
        return False
