from __future__ import annotations

import logging
import os
import pickle
import struct
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import cast

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from orchestrator.conductor.lease import holding
from results import LedgerEntry, NotStoredError, ResultsError, RunDirectory, SchemaError
from results.record_types import PointRow
from results.schema import POINTS, PROGRESS, VERSION
from results.states import LedgerState
from results.storage.backends.storage import FileVersion, Storage
from results.storage.ledger import Failure
from results.storage.parquet_files import parquet
from tests.results.rows import epoch_rows, key_of, point_rows


def entry(index: int, state: LedgerState = "proposed", failures: Sequence[Failure] = ()) -> LedgerEntry:
    return LedgerEntry(
        index=index, key=key_of(index), seed=0, config={}, state=state, failures=list(failures)
    )


def front_of(directory: RunDirectory) -> pa.Table:
    front = directory.read_front()
    assert front is not None
    return front


def keys_in(table: pa.Table) -> list[str]:
    return sorted(set(table["trial_key"].to_pylist()))


# --- sweep and ledger ---


def test_a_fresh_directory_holds_no_run(directory: RunDirectory) -> None:
    assert not directory.exists()
    assert directory.read_sweep() is None
    assert directory.read_versions() == {}
    assert directory.read_ledger() == []
    assert directory.read_points().schema.equals(POINTS, check_metadata=True)
    assert directory.read_progress().schema.equals(PROGRESS, check_metadata=True)
    assert directory.read_front() is None
    assert directory.finished_keys() == set()
    assert not directory.has_points(key_of(0))
    assert list(directory.read_checkpoints(key_of(0))) == []
    assert directory.problems() == []


def test_the_sweep_is_read_as_it_was_written(directory: RunDirectory) -> None:
    sweep = {
        "name": "digits",
        "sweep": {"space.splitting": [1, 2], "x": {"low": 1e-6}},
        "objectives": {"macs": "min"},
    }
    directory.write_sweep(sweep, {"shrinksweep": "0.1.0"})
    assert directory.read_sweep() == sweep
    assert list(directory.read_sweep() or {}) == list(sweep)
    assert directory.read_versions() == {"shrinksweep": "0.1.0"}
    assert directory.exists()


@pytest.mark.parametrize("content", [b"name: [", b"- 1", b"", b"\xff\xfe\x00", b"name: digits\nseed: 0\nobj"])
def test_a_truncated_sweep_is_noted_quarantined_and_written_again(
    directory: RunDirectory, content: bytes
) -> None:
    directory.storage.write("sweep.yaml", content)
    assert directory.exists()
    assert directory.read_sweep() is None
    assert directory.read_versions() == {}
    assert [problem.path for problem in directory.quarantine_broken()] == ["sweep.yaml"]
    directory.write_sweep({"name": "digits"}, {})
    assert directory.read_sweep() == {"name": "digits"}
    assert directory.problems() == []
    [moved] = directory.storage.list("quarantine")
    assert directory.storage.read(f"quarantine/{moved.name}") == content


def test_broken_derived_files_are_quarantined_when_they_are_rewritten(
    directory: RunDirectory,
) -> None:
    directory.write_points(key_of(0), point_rows(0))
    for name in ("front.parquet", "points.parquet", "lease.json"):
        directory.storage.write(name, b"PAR1 broken")
    assert directory.read_front() is None
    assert directory.read_lease() is None
    assert directory.read_points().num_rows == 2
    assert directory.quarantine_broken() == []
    directory.compact()
    directory.write_front(directory.read_points())
    with holding(directory, lambda text: None):
        assert directory.problems() == []
    names = [file.name.rpartition(".")[0] for file in directory.storage.list("quarantine")]
    assert names == ["front.parquet", "lease.json", "points.parquet"]


def test_a_sweep_that_yaml_cannot_hold_is_refused(local: RunDirectory) -> None:
    with pytest.raises(ResultsError, match="plain YAML"):
        local.write_sweep({"name": object()}, {})
    with pytest.raises(ResultsError, match="`versions` must not be a field"):
        local.write_sweep({"versions": 1}, {})


def test_the_ledger_is_read_by_index(directory: RunDirectory) -> None:
    for index in (12, 3, 1_000_000):
        directory.write_entry(entry(index))
    directory.write_entry(entry(3, state="failed", failures=[Failure(message="loss is NaN")]))
    assert [found.index for found in directory.read_ledger()] == [3, 12, 1_000_000]
    assert directory.read_ledger()[0].failures == [Failure(message="loss is NaN")]
    assert directory.exists()


def test_broken_and_foreign_ledger_files_are_noted_and_skipped(
    local: RunDirectory, caplog: pytest.LogCaptureFixture
) -> None:
    local.write_entry(entry(0))
    folder = Path(local.uri) / "ledger"
    (folder / "000001.json").write_text('{"index": 1')
    (folder / "000002.json").write_text(entry(7).to_json())
    (folder / "notes.txt").write_text("mine")
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            assert [found.index for found in local.read_ledger()] == [0]
    assert [problem.path for problem in local.problems()] == [
        "ledger/000001.json",
        "ledger/000002.json",
        "ledger/notes.txt",
    ]
    assert len(caplog.records) == 3  # each is logged once, not at every reading
    assert all(path.exists() for path in folder.iterdir())  # reading moves nothing


# --- points and progress ---


def test_points_of_one_trial_and_of_all(directory: RunDirectory) -> None:
    for index in (2, 0, 1):
        directory.write_points(key_of(index), point_rows(index))
    table = directory.read_points()
    assert table.schema.equals(POINTS, check_metadata=True)
    assert table["trial_index"].to_pylist() == [0, 0, 1, 1, 2, 2]
    assert table["rung"].to_pylist() == [0, 1] * 3
    assert keys_in(directory.read_points(key_of(1))) == [key_of(1)]
    assert directory.read_points(key_of(9)).num_rows == 0
    assert directory.finished_keys() == {key_of(index) for index in range(3)}
    assert directory.has_points(key_of(2))
    assert not directory.has_points(key_of(9))
    assert directory.read_points(columns=["accuracy", "macs"]).column_names == ["accuracy", "macs"]


def test_progress_is_replaced_by_each_epoch(directory: RunDirectory) -> None:
    for steps in (1, 2, 3):
        directory.write_progress(key_of(0), epoch_rows(0, steps))
    directory.write_progress(key_of(1), epoch_rows(1, 1))
    assert directory.read_progress()["step"].to_pylist() == [1, 2, 3, 1]
    assert directory.read_progress(key_of(0))["step"].to_pylist() == [1, 2, 3]


def test_writing_points_twice_has_no_further_effect(directory: RunDirectory) -> None:
    for _ in range(2):
        directory.write_points(key_of(0), point_rows(0))
    assert directory.read_points().num_rows == 2


@pytest.mark.parametrize("rows", [[], point_rows(1), [*point_rows(0), *point_rows(1)]])
def test_rows_of_another_trial_are_refused(local: RunDirectory, rows: list[PointRow]) -> None:
    with pytest.raises(ResultsError, match="must be rows of that trial"):
        local.write_points(key_of(0), rows)
    assert local.finished_keys() == set()


def test_rows_that_do_not_fit_write_nothing(local: RunDirectory) -> None:
    with pytest.raises(SchemaError, match="accuracy"):
        local.write_points(key_of(0), point_rows(0, accuracy=None))
    assert not local.has_points(key_of(0))


@pytest.mark.parametrize("key", ["", "../x", "a/b", ".hidden", "a b", "x" * 200])
def test_a_key_cannot_leave_its_folder(local: RunDirectory, key: str) -> None:
    for call in (
        lambda: local.write_network(key, b""),
        lambda: local.read_points(key),
        lambda: local.delete_checkpoints(key),
    ):
        with pytest.raises(ResultsError, match="a trial's key must be letters, digits, - and _"):
            call()


def test_a_key_must_be_text(local: RunDirectory) -> None:
    key = cast(str, None)
    for call in (lambda: local.write_network(key, b""), lambda: local.delete_checkpoints(key)):
        with pytest.raises(ResultsError, match="a trial's key must be letters, digits, - and _"):
            call()


# --- compaction ---


def test_compacting_doubles_no_row(directory: RunDirectory) -> None:
    for index in range(3):
        directory.write_points(key_of(index), point_rows(index))
    before = directory.read_points().to_pylist()
    assert directory.compact() == 3
    assert directory.read_points().to_pylist() == before
    directory.write_points(key_of(3), point_rows(3))
    assert directory.read_points()["trial_index"].to_pylist() == [0, 0, 1, 1, 2, 2, 3, 3]
    assert directory.compact() == 1
    assert directory.read_points(key_of(1)).to_pylist() == [r for r in before if r["trial_index"] == 1]


def test_points_of_several_trials(directory: RunDirectory) -> None:
    for index in range(4):
        directory.write_points(key_of(index), point_rows(index))
    assert directory.read_points([key_of(3), key_of(1)])["trial_index"].to_pylist() == [1, 1, 3, 3]
    directory.compact()
    directory.storage.remove(f"points/{key_of(3)}.parquet")
    assert directory.read_points({key_of(3), key_of(1)})["trial_index"].to_pylist() == [1, 1, 3, 3]
    assert directory.read_points([]).num_rows == 0
    assert directory.progress_keys() == set()


def test_the_trials_own_file_wins_over_the_compacted_one(directory: RunDirectory) -> None:
    for index in range(3):
        directory.write_points(key_of(index), point_rows(index))
    directory.compact()
    directory.write_points(key_of(1), point_rows(1, rungs=3, accuracy=0.5))
    table = directory.read_points()
    assert table["trial_index"].to_pylist() == [0, 0, 1, 1, 1, 2, 2]
    assert directory.read_points(key_of(1))["accuracy"].to_pylist() == [0.5] * 3


def test_compacted_rows_replace_files_that_are_missing_or_broken(local: RunDirectory) -> None:
    for index in range(3):
        local.write_points(key_of(index), point_rows(index))
    local.compact()
    folder = Path(local.uri) / "points"
    (folder / f"{key_of(0)}.parquet").unlink()
    (folder / f"{key_of(1)}.parquet").write_bytes(b"PAR1")
    assert local.read_points()["trial_index"].to_pylist() == [0, 0, 1, 1, 2, 2]
    assert local.finished_keys() == {key_of(0), key_of(1), key_of(2)}
    assert local.has_points(key_of(0))
    local.compact()
    assert local.read_points().num_rows == 6


def test_a_broken_compacted_file_loses_nothing(local: RunDirectory) -> None:
    local.write_points(key_of(0), point_rows(0))
    local.compact()
    path = Path(local.uri) / "points.parquet"
    path.write_bytes(path.read_bytes()[:-100])
    assert local.read_points().num_rows == 2
    assert [problem.path for problem in local.problems()] == ["points.parquet"]
    local.compact()
    assert local.read_points().num_rows == 2
    assert local.problems() == []


def test_compacting_waits_until_enough_trials_have_changed(local: RunDirectory) -> None:
    for index in range(3):
        local.write_points(key_of(index), point_rows(index))
        local.compact(at_least=2)
    held = pq.read_table(Path(local.uri) / "points.parquet")
    assert keys_in(held) == [key_of(0), key_of(1)]
    assert keys_in(local.read_points()) == [key_of(0), key_of(1), key_of(2)]


def test_the_manifest_is_read_once_and_again_after_another_process_compacts(
    local: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads: list[str] = []
    read_manifest = parquet.read_manifest

    def counted(storage: Storage, path: str) -> dict[str, FileVersion]:
        reads.append(path)
        return read_manifest(storage, path)

    monkeypatch.setattr(parquet, "read_manifest", counted)
    other = RunDirectory(local.uri)
    for index in range(2):
        local.write_points(key_of(index), point_rows(index))
        local.compact()
        (Path(local.uri) / "points" / f"{key_of(index)}.parquet").unlink()
        before = len(reads)
        assert [other.has_points(key_of(index)) for _ in range(5)] == [True] * 5
        assert not other.has_points(key_of(9))
        assert len(reads) == before + 1


def test_compacting_an_empty_run(directory: RunDirectory) -> None:
    assert directory.compact() == 0
    assert directory.read_points().num_rows == 0


# --- leftovers ---


def test_incomplete_files_of_killed_writers_are_removed_wherever_they_are(local: RunDirectory) -> None:
    for folder in ("", "points", f"checkpoints/{key_of(0)}", f"quarantine/checkpoints/{key_of(0)}"):
        (Path(local.uri) / folder).mkdir(parents=True, exist_ok=True)
        for name in ("old", "young"):
            path = Path(local.uri) / folder / f".tmp-{name}"
            path.write_bytes(b"x")
            if name == "old":
                os.utime(path, (time.time() - 4000,) * 2)
    local.remove_leftovers()
    assert {path.name for path in Path(local.uri).rglob(".tmp-*")} == {".tmp-young"}
    assert len(list(Path(local.uri).rglob(".tmp-*"))) == 4


def test_checkpoints_of_trials_that_have_their_points_are_removed(directory: RunDirectory) -> None:
    for key in (key_of(0), key_of(1), f"search-{key_of(0)}"):
        directory.write_checkpoint(key, 1, b"state")
    assert directory.leftover_checkpoints() == set()
    directory.write_points(key_of(0), point_rows(0))
    assert directory.leftover_checkpoints() == {key_of(0)}
    directory.remove_leftovers()
    assert directory.leftover_checkpoints() == set()
    assert list(directory.read_checkpoints(key_of(1))) == [b"state"]
    assert list(directory.read_checkpoints(f"search-{key_of(0)}")) == [b"state"]


# --- broken and foreign points ---


def damage(path: Path, how: str) -> None:
    content = path.read_bytes()
    if how == "truncated":
        path.write_bytes(content[: len(content) // 2])
    elif how == "empty":
        path.write_bytes(b"")
    elif how == "flipped":
        number = struct.pack("<d", point_rows(1)[0]["accuracy"])
        assert number in content
        path.write_bytes(content.replace(number, number[:-1] + bytes([number[-1] ^ 1]), 1))
    elif how == "foreign":
        pq.write_table(pa.table({"trial_key": [path.stem], "x": [1]}), path)
    elif how == "copied":
        path.write_bytes((path.parent / f"{key_of(0)}.parquet").read_bytes())


@pytest.mark.parametrize("how", ["truncated", "empty", "flipped", "foreign", "copied"])
def test_a_broken_points_file_is_skipped_then_quarantined_then_written_again(
    local: RunDirectory, how: str
) -> None:
    for index in range(2):
        local.write_points(key_of(index), point_rows(index))
    path = Path(local.uri) / "points" / f"{key_of(1)}.parquet"
    damage(path, how)
    broken = path.read_bytes()

    assert keys_in(local.read_points()) == [key_of(0)]
    assert not local.has_points(key_of(1))
    assert [problem.path for problem in local.problems()] == [f"points/{path.name}"]
    assert path.exists()  # a reader moves nothing

    moved = RunDirectory(local.uri).quarantine_broken()
    assert [problem.path for problem in moved] == [f"points/{path.name}"]
    assert not path.exists()
    quarantined = list((Path(local.uri) / "quarantine" / "points").iterdir())
    assert [file.read_bytes() for file in quarantined] == [broken]
    assert local.finished_keys() == {key_of(0)}

    local.write_points(key_of(1), point_rows(1))
    assert local.read_points().num_rows == 4
    assert local.problems() == []


def test_a_broken_file_is_logged_once(local: RunDirectory, caplog: pytest.LogCaptureFixture) -> None:
    local.write_points(key_of(0), point_rows(0))
    damage(Path(local.uri) / "points" / f"{key_of(0)}.parquet", "truncated")
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            local.read_points()
    assert len(caplog.records) == 1
    assert f"points/{key_of(0)}.parquet is skipped" in caplog.text


def test_a_foreign_file_that_is_gone_is_not_quarantined(local: RunDirectory) -> None:
    stranger = Path(local.uri) / "points" / "README.txt"
    stranger.write_text("mine")
    local.read_points()
    assert len(local.problems()) == 1
    stranger.unlink()
    assert local.quarantine_broken() == []
    assert local.problems() == []


def test_truncated_files_do_not_count_as_finished(local: RunDirectory) -> None:
    local.write_points(key_of(0), point_rows(0))
    damage(Path(local.uri) / "points" / f"{key_of(0)}.parquet", "truncated")
    assert local.finished_keys() == set()


def test_writing_over_a_broken_file_quarantines_it(directory: RunDirectory) -> None:
    directory.storage.write(f"points/{key_of(0)}.parquet", b"half a file")
    directory.write_points(key_of(0), point_rows(0))
    [moved] = directory.storage.list("quarantine/points")
    assert directory.storage.read(f"quarantine/points/{moved.name}") == b"half a file"
    assert directory.has_points(key_of(0))


def test_files_with_foreign_names_are_noted_and_skipped(local: RunDirectory) -> None:
    local.write_points(key_of(0), point_rows(0))
    source = Path(local.uri) / "points" / f"{key_of(0)}.parquet"
    for name in (f"{key_of(0)} (1).parquet", "README.txt"):
        (source.parent / name).write_bytes(source.read_bytes())
    (source.parent / "copy.parquet").write_bytes(source.read_bytes())
    assert local.read_points().num_rows == 2  # a copy by hand doubles nothing
    assert len(local.problems()) == 3


def test_nothing_of_a_sound_run_is_quarantined(directory: RunDirectory) -> None:
    directory.write_entry(entry(0))
    directory.write_points(key_of(0), point_rows(0))
    directory.write_progress(key_of(0), epoch_rows(0))
    assert directory.quarantine_broken() == []
    assert not directory.storage.exists("quarantine")


def test_columns_are_cast_to_the_types_of_the_schema(local: RunDirectory) -> None:
    local.write_points(key_of(0), point_rows(0))
    path = Path(local.uri) / "points" / f"{key_of(0)}.parquet"
    table = pq.read_table(path)
    macs = table.schema.get_field_index("macs")
    codec = table.schema.get_field_index("codec")
    table = table.set_column(macs, "macs", table["macs"].cast(pa.int32()))
    table = table.set_column(codec, "codec", table["codec"].cast(pa.string()))
    pq.write_table(table, path)
    assert local.read_points().schema.equals(POINTS, check_metadata=True)
    assert local.read_points()["codec"].to_pylist() == ["best", "best"]


def test_a_run_of_an_older_schema_is_read_with_nulls(
    local: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    for index in range(2):
        local.write_points(key_of(index), point_rows(index))
    path = Path(local.uri) / "points" / f"{key_of(0)}.parquet"
    pq.write_table(pq.read_table(path).drop_columns(["weight_sparsity", "codec"]), path)
    monkeypatch.setattr("results.storage.parquet_files.schema_cast.VERSION", VERSION + 1)
    table = local.read_points()
    assert table["weight_sparsity"].to_pylist() == [None, None, 0.0, 0.0]
    assert table["codec"].to_pylist() == [None, None, "best", "best"]
    assert table.schema.field("codec").nullable
    table.validate(full=True)
    local.compact()
    assert local.read_points().num_rows == 4
    assert local.problems() == []


# --- checkpoints and networks ---


def test_the_newest_two_checkpoints_are_kept(directory: RunDirectory) -> None:
    for step in range(1, 6):
        directory.write_checkpoint(key_of(0), step, b"state %d" % step)
    assert list(directory.read_checkpoints(key_of(0))) == [b"state 5", b"state 4"]
    directory.write_checkpoint(key_of(1), 1, b"")
    directory.delete_checkpoints(key_of(0))
    assert list(directory.read_checkpoints(key_of(0))) == []
    assert list(directory.read_checkpoints(key_of(1))) == [b""]


@pytest.mark.parametrize("how", ["truncated", "empty", "flipped", "foreign"])
def test_a_broken_checkpoint_is_skipped_for_the_one_before_it(directory: RunDirectory, how: str) -> None:
    for step in (1, 2):
        directory.write_checkpoint(key_of(0), step, b"state %d" % step)
    path = f"checkpoints/{key_of(0)}/00000002.ckpt"
    content = directory.storage.read(path)
    wrong = {"truncated": content[:-1], "empty": b"", "flipped": content[:-1] + b"!", "foreign": b"x" * 200}
    directory.storage.write(path, wrong[how])
    assert list(directory.read_checkpoints(key_of(0))) == [b"state 1"]
    assert [problem.path for problem in directory.problems()] == [path]


def test_later_checkpoints_are_quarantined_when_an_earlier_one_is_written(directory: RunDirectory) -> None:
    for step in (7, 8):
        directory.write_checkpoint(key_of(0), step, b"state")
        directory.storage.write(f"checkpoints/{key_of(0)}/{step:08d}.ckpt", b"broken")
    for step in (1, 2, 3):
        directory.write_checkpoint(key_of(0), step, b"state %d" % step)
    assert list(directory.read_checkpoints(key_of(0))) == [b"state 3", b"state 2"]
    assert len(directory.storage.list(f"quarantine/checkpoints/{key_of(0)}")) == 2


def test_networks(directory: RunDirectory) -> None:
    directory.write_network(key_of(0), b"weights")
    assert directory.read_network(key_of(0)) == b"weights"
    with pytest.raises(NotStoredError, match=f"the network of trial {key_of(1)}, but it was not stored"):
        directory.read_network(key_of(1))


# --- the directory itself ---


def test_a_directory_can_be_pickled(local: RunDirectory) -> None:
    local.write_points(key_of(0), point_rows(0))
    copy = pickle.loads(pickle.dumps(local))  # noqa: S301
    assert copy.uri == local.uri == str(Path(local.uri).absolute())
    assert copy.read_points().equals(local.read_points())
    copy.write_points(key_of(1), point_rows(1))
    assert local.finished_keys() == {key_of(0), key_of(1)}


def test_the_front_is_read_as_it_was_written(directory: RunDirectory) -> None:
    directory.write_points(key_of(0), point_rows(0))
    directory.write_front(directory.read_points())
    assert front_of(directory).equals(directory.read_points())


def test_a_broken_front_is_noted_and_not_read(local: RunDirectory) -> None:
    local.write_points(key_of(0), point_rows(0))
    (Path(local.uri) / "front.parquet").write_bytes(b"PAR1....PAR1")
    assert local.read_front() is None
    assert [problem.path for problem in local.problems()] == ["front.parquet"]


def test_many_concurrent_writers_and_a_reader(local: RunDirectory) -> None:
    def work(worker: int) -> None:
        own = pickle.loads(pickle.dumps(local))  # noqa: S301
        for index in range(worker, 24, 4):
            for steps in (1, 2):
                own.write_progress(key_of(index), epoch_rows(index, steps))
            own.write_points(key_of(index), point_rows(index))

    workers = [threading.Thread(target=work, args=(worker,)) for worker in range(4)]
    for worker in workers:
        worker.start()
    while any(worker.is_alive() for worker in workers):
        table = local.read_points()
        assert table.num_rows == 2 * len(keys_in(table))
        local.compact()
    assert local.read_points()["trial_index"].to_pylist() == [i for i in range(24) for _ in range(2)]
    assert local.problems() == []
