"""The run directory: the only code that opens a run's files.

Every file has one writer and is replaced atomically, so a run can be killed and read at any time. A launch and its
trials write inside a fence, and nothing any more once it is gone. Files that cannot be read are logged, listed by
``problems()`` and skipped by readers; only writers move them into ``quarantine/``.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

import pyarrow as pa
import pyarrow.fs as pafs

from results.errors import NotStoredError
from results.record_types import JsonObject, PointRow, ProgressRow
from results.schema import POINTS, PROGRESS
from results.storage import sweep_file
from results.storage.backends.fence import FOLDER as FENCES
from results.storage.backends.fence import Fence
from results.storage.backends.remote_storage import open_storage
from results.storage.backends.retrying_storage import RETRY_FOR_S, RetryingStorage
from results.storage.backends.storage import FileVersion, Storage
from results.storage.checked_files import QUARANTINE, CheckedFiles
from results.storage.checkpoints import Checkpoints
from results.storage.front import FrontFile
from results.storage.lease import Lease, LeaseFile
from results.storage.ledger import Ledger, LedgerEntry
from results.storage.leftovers import incomplete_files
from results.storage.parquet_files.compacted_file import CompactedFile, Manifests
from results.storage.problems import Problem, Problems
from results.storage.sweep_file import SweepFile
from results.storage.trial_files import Keys, TrialFiles, checked_key

FOLDERS = ("ledger", "progress", "points", "checkpoints", "networks")
CLOSE_ATTEMPTS = 100

TrialVersion = tuple[FileVersion | None, FileVersion | None]
"""Versions of the progress and of the points of a trial; None where it has none."""


class RunDirectory:
    """The files of one run, on a local disk or any ``pyarrow.fs`` file system. Picklable.

    Args:
        path: a local path, a URI such as ``s3://bucket/runs/digits``, or a path in ``filesystem``.
        create: make the folders at once, so that a directory that cannot be written to fails early.
        filesystem: the file system of ``path``.
        problems: what has been found broken; default: nothing yet.
        manifests: those of the compacted points that have been read; default: none yet.

    Raises:
        ResultsError: ``pyarrow.fs`` cannot open the URI.
    """

    def __init__(
        self,
        path: str | os.PathLike[str] | Storage,
        *,
        create: bool = False,
        filesystem: pafs.FileSystem | None = None,
        problems: Problems | None = None,
        manifests: Manifests | None = None,
    ) -> None:
        self.storage: Storage = (
            open_storage(path, filesystem) if isinstance(path, (str, os.PathLike)) else path
        )
        self._files = CheckedFiles(self.storage, problems or Problems(self.uri))
        self._sweep = SweepFile(self._files)
        self._ledger = Ledger(self._files)
        self._lease = LeaseFile(self._files)
        self._progress = TrialFiles(self._files, "progress", PROGRESS, "step")
        self._manifests: Manifests = {} if manifests is None else manifests
        compacted = CompactedFile(self._files, "points.parquet", self._manifests)
        self._points = TrialFiles(self._files, "points", POINTS, "rung", compacted)
        self._checkpoints = Checkpoints(self._files)
        self._front = FrontFile(self._files)
        if create:
            self.make_folders()

    def __repr__(self) -> str:
        return f"RunDirectory({self.uri!r})"

    @property
    def uri(self) -> str:
        """An absolute path, or a URI without credentials."""
        return self.storage.uri

    def retrying(
        self,
        *,
        retry_for_s: float = RETRY_FOR_S,
        sleep: Callable[[float], object] = time.sleep,
        notify: Callable[[str], None] | None = None,
    ) -> RunDirectory:
        """Return the same directory on a storage that retries, see ``RetryingStorage``."""
        inner = self.storage.inner if isinstance(self.storage, RetryingStorage) else self.storage
        return self._on(RetryingStorage(inner, retry_for_s, sleep, notify))

    def _on(self, storage: Storage) -> RunDirectory:
        """Return the same directory, reached in another way."""
        return RunDirectory(storage, problems=self._files.problems, manifests=self._manifests)

    # --- fences ---

    def fences(self) -> set[str]:
        """Return the folders of all fences."""
        return {f"{FENCES}/{name}" for name in self.storage.folders(FENCES)}

    def within(self, fence: Fence) -> RunDirectory:
        """Return the same directory inside a fence: it and its copies change nothing unless the fence exists."""
        return self._on(self.storage.within(fence))

    def open_fence(self, fence: Fence) -> RunDirectory:
        """Set up a fence, and return the same directory inside it."""
        return self._on(self.storage.open(fence))

    def close_fence(self, path: str) -> None:
        """Remove a fence. Afterwards nothing that happens inside it changes the run.

        Raises:
            OSError: it cannot be removed.
        """
        for _ in range(CLOSE_ATTEMPTS):  # meanwhile its holder may write into it
            self.storage.remove_folder(path)
            if not self.storage.exists(path):
                return
        raise OSError(f"the folder {self.uri}/{path} must be removed before another launch, but it cannot be")

    def of_attempt(self, trial: int, attempt: int) -> RunDirectory:
        """Return the same directory inside the fence of an attempt at a trial; without a fence, the directory itself.

        ``open_attempt`` sets it up, and ``close_attempt`` removes it: what is left of the attempt changes nothing then.
        """
        fence = self.storage.fence
        return self if fence is None else self.within(fence.of_attempt(trial, attempt))

    def open_attempt(self, trial: int, attempt: int) -> None:
        """Set up the fence of an attempt, inside the one of its launch."""
        if self.storage.fence is not None:
            self.storage.open(self.storage.fence.of_attempt(trial, attempt))

    def close_attempt(self, trial: int, attempt: int) -> None:
        """Remove the fence of an attempt.

        Raises:
            OSError: it cannot be removed.
        """
        if self.storage.fence is not None:
            self.close_fence(self.storage.fence.of_attempt(trial, attempt).path)

    def make_folders(self) -> None:
        """Make the folders of a run.

        Raises:
            OSError: the directory cannot be written to.
        """
        for folder in FOLDERS:
            self.storage.make_folder(folder)

    def exists(self) -> bool:
        """Whether the directory holds a run: a sweep, a ledger entry or points."""
        return self.storage.exists(sweep_file.PATH) or any(map(self.storage.list, ("ledger", "points")))

    # --- sweep, ledger, lease ---

    def write_sweep(self, sweep: Mapping[str, object], versions: Mapping[str, object]) -> None:
        """Store the sweep as validated, and the versions of what will run it.

        Raises:
            ResultsError: the sweep has a field ``versions``, or YAML cannot hold one of its values.
        """
        self._sweep.write(sweep, versions)

    def read_sweep(self) -> JsonObject | None:
        """Return the sweep; None if there is none, or a broken one."""
        content = self._sweep.read()
        return None if content is None else {name: content[name] for name in content if name != "versions"}

    def read_versions(self) -> JsonObject:
        """Return the versions that were stored with the sweep; empty if there is no sweep."""
        return dict((self._sweep.read() or {}).get("versions") or {})

    def write_entry(self, entry: LedgerEntry) -> None:
        """Store a ledger entry; it replaces the one of the same index."""
        self._ledger.write(entry)

    def read_entry(self, index: int) -> LedgerEntry | None:
        """Return one ledger entry; None if there is none, or a broken one."""
        return self._ledger.read(index)

    def read_ledger(self) -> list[LedgerEntry]:
        """Return every readable ledger entry, by index."""
        return self._ledger.read_all()

    def write_lease(self, lease: Lease) -> None:
        """Store the lease of a launch."""
        self._lease.write(lease)

    def read_lease(self) -> Lease | None:
        """Return the lease of the last launch, perhaps a released one; None if there is none, or a broken one."""
        return self._lease.read()

    # --- progress and points ---

    def write_progress(self, key: str, rows: Sequence[ProgressRow]) -> None:
        """Store all epochs of a trial so far, in place of the earlier ones.

        Raises:
            SchemaError: a row does not fit the schema.
        """
        self._progress.write(key, rows)

    def read_progress(self, key: Keys = None, columns: Sequence[str] | None = None) -> pa.Table:
        """Return the epochs of one trial, several or all, by trial_index and step."""
        return self._progress.read(key, columns)

    def progress_keys(self) -> set[str]:
        """Return the keys of all trials that have progress."""
        return self._progress.keys()

    def write_points(self, key: str, rows: Sequence[PointRow]) -> None:
        """Store the whole ladder of a trial. This makes the trial finished.

        Raises:
            SchemaError: a row does not fit the schema.
        """
        self._points.write(key, rows)

    def read_points(self, key: Keys = None, columns: Sequence[str] | None = None) -> pa.Table:
        """Return the points of one trial, several or all, by trial_index and rung."""
        return self._points.read(key, columns)

    def has_points(self, key: str) -> bool:
        """Whether a trial is finished: its points can be read to the last byte."""
        return self._points.is_readable(key) or self._points.is_compacted(key)

    def finished_keys(self) -> set[str]:
        """Return the keys of all trials that have points; truncated files do not count."""
        return self._points.keys()

    def set_aside_points(self, keys: Collection[str]) -> None:
        """Move the points of trials into ``quarantine/``: the trials are not finished any more."""
        self._points.set_aside(keys)

    def versions(self) -> dict[str, TrialVersion]:
        """Return {trial key: its version}, from listings alone."""
        progress, points = self._progress.versions(), self._points.versions()
        return {key: (progress.get(key), points.get(key)) for key in sorted(progress.keys() | points.keys())}

    def compact(self, *, at_least: int = 0) -> int:
        """Rewrite ``points.parquet`` if at least ``at_least`` trials have changed; return how many have.

        A compacted run reads many times faster, so this is called from time to time while the sweep runs.
        """
        changed = self._points.count_changed()
        if changed < at_least:
            return 0
        self._points.compact()
        return changed

    # --- checkpoints, networks, front ---

    def write_checkpoint(self, key: str, step: int, payload: bytes) -> None:
        """Store a trial's checkpoint with a checksum; only the newest two are kept."""
        self._checkpoints.write(checked_key(key), step, payload)

    def read_checkpoints(self, key: str) -> Iterator[bytes]:
        """Yield a trial's checkpoints, newest first; truncated and damaged ones are skipped and noted."""
        return self._checkpoints.read(checked_key(key))

    def delete_checkpoints(self, key: str) -> None:
        """Delete a trial's checkpoints."""
        self._checkpoints.delete(checked_key(key))

    def write_network(self, key: str, payload: bytes) -> None:
        """Store a trial's trained network."""
        self.storage.write(f"networks/{checked_key(key)}.pt", payload)

    def read_network(self, key: str) -> bytes:
        """Return a trial's trained network.

        Raises:
            NotStoredError: it was not stored.
        """
        try:
            return self.storage.read(f"networks/{checked_key(key)}.pt")
        except FileNotFoundError:
            raise NotStoredError(
                f"{self.uri} must hold the network of trial {key}, but it was not stored"
            ) from None

    def write_front(self, points: pa.Table) -> None:
        """Store the front."""
        self._front.write(points)

    def read_front(self) -> pa.Table | None:
        """Return the stored front; None if there is none, or a broken one."""
        return self._front.read()

    # --- leftovers ---

    def leftover_checkpoints(self) -> set[str]:
        """Return the keys of trials that have points, but still checkpoints: they were killed between the two."""
        kept = self._checkpoints.keys()
        return kept & self.finished_keys() if kept else kept

    def has_leftovers(self) -> bool:
        """Whether killed processes have left something that nobody will use."""
        folders = [*FOLDERS, QUARANTINE]
        left = bool(self.leftover_checkpoints() or self.fences())
        return left or next(incomplete_files(self.storage, folders), None) is not None

    def remove_leftovers(self) -> None:
        """Delete the checkpoints of finished trials, and the incomplete files of killed writers."""
        for key in self.leftover_checkpoints():
            self.delete_checkpoints(key)
        for path in list(incomplete_files(self.storage, [*FOLDERS, QUARANTINE])):
            self.storage.remove(path)

    # --- broken and foreign files ---

    def problems(self) -> list[Problem]:
        """Return the files that were broken or foreign when they were last read, by path."""
        return self._files.problems.all()

    def quarantine_broken(self) -> list[Problem]:
        """Examine the sweep, the ledger, progress and points; move what cannot be read into ``quarantine/``.

        Called by a launch before its trials start, which then repeats what is lost. The front and other derived files
        are quarantined when they are rewritten.
        """
        self._sweep.read()
        self._ledger.read_all()
        self._progress.examine(to_the_last_byte=False)
        self._points.examine(to_the_last_byte=True)
        records = (sweep_file.PATH, "ledger/", "progress/", "points/")
        return [p for p in self.problems() if p.path.startswith(records) and self._files.quarantine(p.path)]
