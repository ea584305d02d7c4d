"""The run directory: the only code that opens a run's files.

Every file has one writer and is replaced in one step, so a run can be killed anywhere and read at any time.
What cannot be read is named (a warning in the log, and ``problems()``) and skipped by readers; only a writer
sets it aside, into ``quarantine/``.
"""

from __future__ import annotations

import os
import re
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from results.errors import BrokenFileError, NotStoredError, ResultsError, one_line
from results.schema import POINTS, PROGRESS
from results.storage import checkpoints, parquet
from results.storage.lease import Lease
from results.storage.ledger import LedgerEntry
from results.storage.problems import Problem, Problems
from results.storage.remote_storage import open_storage
from results.storage.retrying_storage import RETRY_FOR_S, RetryingStorage
from results.storage.rows import table_from_rows
from results.storage.schema_cast import Shape, join
from results.storage.storage import Storage, map_concurrently
from results.storage.trial_files import Keys, TrialFiles, checked_key

SWEEP = "sweep.yaml"
LEASE = "lease.json"
FRONT = "front.parquet"
FOLDERS = ("ledger", "progress", "points", "checkpoints", "networks")
STALE_S = 86_400  # a temporary file older than a day is a killed writer's

_ENTRY_NAME = re.compile(r"\d{6,}\.json")


class RunDirectory:
    """The files of one run, on a local disk or behind any ``pyarrow.fs`` URI. Picklable.

    ``path`` is a local path or a URI such as ``s3://bucket/runs/digits``; with an explicit ``filesystem`` it
    is a path in that one. ``create`` makes the folders at once, so that a place that cannot be written to
    shows itself early. Error: ``ResultsError`` for a URI of an unknown kind.
    """

    def __init__(
        self, path: str | os.PathLike[str] | Storage, *, create: bool = False, filesystem: Any = None
    ) -> None:
        self.storage: Storage = (
            open_storage(path, filesystem) if isinstance(path, (str, os.PathLike)) else path
        )
        self._problems = Problems(self.uri)
        self._progress = TrialFiles(self.storage, self._problems, "progress", PROGRESS, "step")
        self._points = TrialFiles(self.storage, self._problems, "points", POINTS, "rung", "points.parquet")
        if create:
            self.make_folders()

    def __repr__(self) -> str:
        return f"RunDirectory({self.uri!r})"

    @property
    def uri(self) -> str:
        """The directory as it may be shown: an absolute path, or the URI without its credentials."""
        return self.storage.uri

    def retrying(
        self,
        before_change: Callable[[], None] | None = None,
        *,
        retry_for_s: float = RETRY_FOR_S,
        sleep: Callable[[float], Any] = time.sleep,
    ) -> RunDirectory:
        """Return the same directory, whose storage is waited for while it fails. See ``RetryingStorage``."""
        return RunDirectory(RetryingStorage(self.storage, before_change, retry_for_s, sleep))

    def make_folders(self) -> None:
        """Make the folders of a run. Error: ``OSError`` where nothing can be written."""
        for folder in FOLDERS:
            self.storage.make_folder(folder)

    @property
    def scratch(self) -> Path:
        """Folder for Tune's scratch files, to be deleted at any time. ``ResultsError`` when not local."""
        if self.storage.local is None:
            raise ResultsError(f"scratch files need a local run directory, but got {self.uri}")
        return self.storage.local / "ray"

    def exists(self) -> bool:
        """Say whether there is a run here at all."""
        return self.storage.exists(SWEEP) or any(self.storage.list(name) for name in ("ledger", "points"))

    # --- the sweep and its ledger ---

    def write_sweep(self, sweep: Mapping[str, Any], versions: Mapping[str, Any]) -> None:
        """Store the sweep as validated, and the versions of what will run it. Error: ``ResultsError``."""
        if "versions" in sweep:
            raise ResultsError(f"`versions` must not be a field of the sweep, but got {sweep['versions']!r}")
        try:
            text = yaml.safe_dump({**sweep, "versions": dict(versions)}, sort_keys=False, allow_unicode=True)
        except yaml.YAMLError as error:
            raise ResultsError(f"a sweep must be plain YAML, but got {one_line(error)}") from error
        self._replace(SWEEP, text.encode())

    def read_sweep(self) -> dict[str, Any] | None:
        """Return the sweep; None when none was stored yet, or a broken one."""
        content = self._sweep_file()
        return None if content is None else {name: content[name] for name in content if name != "versions"}

    def read_versions(self) -> dict[str, Any]:
        """Return the versions that the sweep was stored with; empty when there is no sweep."""
        return dict((self._sweep_file() or {}).get("versions") or {})

    def _sweep_file(self) -> dict[str, Any] | None:
        try:
            content = yaml.safe_load(self.storage.read(SWEEP))
            if not isinstance(content, dict) or "versions" not in content:  # the last thing in the file
                raise yaml.YAMLError("no sweep with its versions, or one that was cut off")
        except FileNotFoundError:
            return None
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            self._problems.note(SWEEP, one_line(error))
            return None
        self._problems.clear(SWEEP)
        return content

    def write_entry(self, entry: LedgerEntry) -> None:
        """Store one ledger entry, replacing the one of the same index."""
        self.storage.write(f"ledger/{entry.index:06d}.json", entry.to_json().encode())

    def read_ledger(self) -> list[LedgerEntry]:
        """Return every readable ledger entry, by index."""
        names = [file.name for file in self.storage.list("ledger")]
        entries = map_concurrently(self.storage, self._read_entry, names)
        return sorted((entry for entry in entries if entry is not None), key=lambda entry: entry.index)

    def read_entry(self, index: int) -> LedgerEntry | None:
        """Return one ledger entry; None when there is none, or a broken one."""
        return self._read_entry(f"{index:06d}.json")

    def _read_entry(self, name: str) -> LedgerEntry | None:
        path = f"ledger/{name}"
        try:
            if not _ENTRY_NAME.fullmatch(name):
                raise BrokenFileError("not the name of a ledger entry")
            entry = LedgerEntry.from_json(self.storage.read(path))
            if name != f"{entry.index:06d}.json":
                raise BrokenFileError(
                    f"it must hold the entry of its name, but holds that of index {entry.index}"
                )
        except FileNotFoundError:
            return None
        except BrokenFileError as error:
            self._problems.note(path, str(error))
            return None
        self._problems.clear(path)
        return entry

    # --- the lease ---

    def write_lease(self, lease: Lease) -> None:
        """Store who writes to the run."""
        self._replace(LEASE, lease.to_json())

    def read_lease(self) -> Lease | None:
        """Return who writes to the run; None when nobody does, or what is there is no lease."""
        try:
            lease = Lease.from_json(self.storage.read(LEASE))
        except FileNotFoundError:
            return None
        except BrokenFileError as error:
            self._problems.note(LEASE, str(error))
            return None
        self._problems.clear(LEASE)
        return lease

    def remove_lease(self) -> None:
        """Store that nobody writes to the run."""
        self.storage.remove(LEASE)

    # --- progress and points ---

    def write_progress(self, key: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """Store all epochs of a trial so far, replacing what was there. Error: ``SchemaError``."""
        self._write_rows(self._progress, key, rows)

    def read_progress(self, key: Keys = None, columns: Sequence[str] | None = None) -> Any:
        """Return the epochs of one trial, of several, or of all, as a ``pa.Table`` by trial_index and step."""
        return self._progress.read(key, columns)

    def progress_keys(self) -> set[str]:
        """Return the keys of all trials that have progress."""
        return self._progress.keys()

    def write_points(self, key: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """Store the whole ladder of a trial, which makes it finished. Error: ``SchemaError``."""
        self._write_rows(self._points, key, rows)

    def read_points(self, key: Keys = None, columns: Sequence[str] | None = None) -> Any:
        """Return the points of one trial, of several, or of all, as a ``pa.Table`` by trial_index and rung."""
        return self._points.read(key, columns)

    def versions(self) -> dict[str, Any]:
        """Return what changes whenever the progress or the points of a trial do, by key, from listings alone."""
        progress, points = self._progress.versions(), self._points.versions()
        return {key: (progress.get(key), points.get(key)) for key in sorted(progress.keys() | points.keys())}

    def has_points(self, key: str) -> bool:
        """Say whether a trial is finished: its points are on storage and readable to the last byte."""
        return self._points.is_good(key) or self._points.is_compacted(key)

    def finished_keys(self) -> set[str]:
        """Return the keys of all trials that have points; truncated files do not count."""
        return self._points.keys()

    def compact(self, *, at_least: int = 0) -> int:
        """Bring ``points.parquet`` up to date and return how many trials have changed since the last time.

        Nothing is written when fewer than ``at_least`` have.

        Reading a compacted run is many times faster; calling this now and then while the sweep runs keeps it
        so. Temporary files that killed writers left a day ago or earlier are cleared away.
        """
        changed = self._points.changed()
        if changed < at_least:
            return 0
        for folder in ("", *FOLDERS):
            for file in self.storage.list(folder, temporary=True):
                if time.time() - file.modified_ns / 1e9 > STALE_S:
                    self.storage.remove(f"{folder}/{file.name}" if folder else file.name)
        self._points.compact()
        return changed

    def _write_rows(self, files: TrialFiles, key: str, rows: Sequence[Mapping[str, Any]]) -> None:
        others = {row.get("trial_key") for row in rows} - {key}
        if not rows or others:
            raise ResultsError(
                f"{files.folder} of trial {key} must be rows of that trial, but got {others or 'none'}"
            )
        content = parquet.small_file(table_from_rows(files.schema, rows))
        path = files.path(key)
        if self.storage.exists(path) and not files.is_good(key):
            self._quarantine(path)
        self.storage.write(path, content)
        self._problems.clear(path)

    # --- checkpoints and networks ---

    def write_checkpoint(self, key: str, step: int, payload: bytes) -> None:
        """Store a trial's checkpoint with a checksum; only the newest two are kept."""
        checkpoints.write(self.storage, checked_key(key), step, payload)

    def read_checkpoints(self, key: str) -> Iterator[bytes]:
        """Yield a trial's checkpoints, newest first; truncated and damaged ones are skipped and named."""
        return checkpoints.read(self.storage, checked_key(key), self._problems)

    def delete_checkpoints(self, key: str) -> None:
        """Delete a trial's checkpoints."""
        checkpoints.delete(self.storage, checked_key(key))

    def write_network(self, key: str, payload: bytes) -> None:
        """Store a trial's trained network."""
        self.storage.write(f"networks/{checked_key(key)}.pt", payload)

    def read_network(self, key: str) -> bytes:
        """Return a trial's trained network. Error: ``NotStoredError``."""
        try:
            return self.storage.read(f"networks/{checked_key(key)}.pt")
        except FileNotFoundError:
            raise NotStoredError(
                f"{self.uri} must hold the network of trial {key}, but it was not stored"
            ) from None

    # --- the front ---

    def write_front(self, table: Any) -> None:
        """Store the front, a ``pa.Table`` of points."""
        self._replace(FRONT, parquet.large_file(table))

    def read_front(self) -> Any:
        """Return the front as it was last stored, a ``pa.Table``; None when there is none, or a broken one."""
        try:
            shape = Shape(POINTS)
            front = join([parquet.read_large(self.storage, FRONT, shape)], shape)
        except FileNotFoundError:
            return None
        except BrokenFileError as error:
            self._problems.note(FRONT, str(error))
            return None
        self._problems.clear(FRONT)
        return front

    # --- broken and foreign files ---

    def problems(self) -> list[Problem]:
        """Return the files that reading so far found broken or foreign, by path."""
        return self._problems.all()

    def quarantine_broken(self) -> list[Problem]:
        """Look at the sweep, the ledger, progress and points, and move what cannot be read into ``quarantine/``.

        For the one process that launches the run, before its trials start: what is lost is then done again. The
        front and other files that are made of these are set aside when they are made anew.
        """
        self._sweep_file()
        self.read_ledger()
        self._progress.examine(to_the_last_byte=False)
        self._points.examine(to_the_last_byte=True)
        records = (SWEEP, "ledger/", "progress/", "points/")
        return [p for p in self.problems() if p.path.startswith(records) and self._quarantine(p.path)]

    def _replace(self, path: str, content: bytes) -> None:
        """Write a file of which there is one; what was found broken there is set aside first."""
        if self._problems.about(path):
            self._quarantine(path)
        self.storage.write(path, content)

    def _quarantine(self, path: str) -> bool:
        """Move a file into ``quarantine/``; False when it is gone: replaced or moved by somebody else."""
        try:
            self.storage.move(path, f"quarantine/{path}.{uuid.uuid4().hex[:8]}")
        except FileNotFoundError:
            return False
        finally:
            self._problems.clear(path)
        return True
