"""What the shell completes: sweep files, runs, columns, points, swept paths.

A completer never fails and never waits long: what it cannot find out it does not offer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import typer

MOST = 200
"""Candidates that are offered at most."""

FORMATS = ("table", "csv", "json", "parquet")


def sweep_files(incomplete: str) -> list[str]:
    """Offer YAML files and the folders that may hold some."""
    return _paths(incomplete, lambda path: path.suffix in (".yaml", ".yml"))


def runs(incomplete: str) -> list[str]:
    """Offer run directories and the folders that may hold some."""
    return [path.rstrip("/") if _is_run(Path(path)) else path for path in _paths(incomplete, _is_run)]


def columns(incomplete: str) -> list[str]:
    """Offer the columns of the points; in an expression, for the word that is being typed."""
    from results.schema import POINTS

    before, space, word = incomplete.rpartition(" ")
    return [f"{before}{space}{name}" for name in _starting(word, POINTS.names)]


def number_columns(incomplete: str) -> list[str]:
    """Offer the columns of the points that can be objectives."""
    import pyarrow as pa

    from results.schema import POINTS

    kinds = (pa.types.is_floating, pa.types.is_integer)
    names = [field.name for field in POINTS if any(is_kind(field.type) for is_kind in kinds)]
    return _starting(incomplete, names)


def pairs(incomplete: str) -> list[str]:
    """Offer the columns of ``COL=NUMBER``."""
    return [f"{name}=" for name in number_columns(incomplete)]


def points(ctx: typer.Context, incomplete: str) -> list[str]:
    """Offer the points of RUN's front, short, best first; once a key is begun, all points it begins."""
    return _quietly(lambda: _points(str(ctx.params.get("run") or ""), incomplete))


def assignments(incomplete: str) -> list[str]:
    """Offer the fields of a sweep as ``PATH=``, below ``trial.`` and ``sweep.`` as well."""
    return _quietly(lambda: _starting(incomplete, [f"{path}=" for path in _sweep_paths()]))


def formats(incomplete: str) -> list[str]:
    """Offer the forms of a table."""
    return _starting(incomplete, FORMATS)


def _points(run: str, incomplete: str) -> list[str]:
    from orchestrator.status.progress import short_point
    from results import RunDirectory

    directory = RunDirectory(run)
    front = directory.read_front() if not incomplete else None
    table = front if front is not None else directory.read_points(columns=["point"])
    names = table["point"].to_pylist()
    return _starting(incomplete, [short_point(name) if len(incomplete) <= 11 else name for name in names])


def _sweep_paths() -> Iterator[str]:
    from orchestrator.sweep.dimensions import leaf_fields
    from orchestrator.sweep.sweep import ResourcesConfig, StrategyConfig, Sweep

    yield from (
        name for name in Sweep.model_fields if name not in ("trial", "sweep", "strategy", "resources")
    )
    for name, model in (("strategy", StrategyConfig), ("resources", ResourcesConfig)):
        yield from (f"{name}.{field}" for field in model.model_fields)
    for block in ("trial", "sweep"):
        yield from (f"{block}.{path}" for path in leaf_fields())


def _paths(incomplete: str, wanted: Callable[[Path], bool]) -> list[str]:
    """Return what begins like ``incomplete`` and is wanted, and folders, which may hold something wanted."""
    folder, slash, begun = incomplete.rpartition("/")
    found = []
    for path in sorted(_entries(Path(folder + slash or "."))):
        if path.name.startswith(begun) and path.name.startswith(".") == begun.startswith("."):
            name = f"{folder}{slash}{path.name}"
            if path.is_dir():
                found.append(f"{name}/")
            elif wanted(path):
                found.append(name)
    return found[:MOST]


def _entries(folder: Path) -> list[Path]:
    try:
        return list(folder.expanduser().iterdir())
    except OSError:
        return []


def _is_run(path: Path) -> bool:
    return (path / "sweep.yaml").is_file() and (path / "ledger").is_dir()


def _starting(incomplete: str, names: Any) -> list[str]:
    return [name for name in names if name.startswith(incomplete)][:MOST]


def _quietly(find: Callable[[], list[str]]) -> list[str]:
    try:
        return find()
    except Exception:
        return []
