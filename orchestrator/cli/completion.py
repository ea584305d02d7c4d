"""Shell completion: sweep files, runs, columns, points, fields of a sweep.

A completer never fails and answers at once: candidates that it cannot find are left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import typer

MOST = 200
"""The most candidates that are offered."""

FORMATS = ("table", "csv", "json", "parquet", "xlsx")
"""The formats of ``shrinksweep front``."""


def sweep_files(incomplete: str) -> list[str]:
    """Offer YAML files, and folders."""
    return _paths(incomplete, lambda path: path.suffix in (".yaml", ".yml"))


def runs(incomplete: str) -> list[str]:
    """Offer run directories, and other folders."""
    return [path.rstrip("/") if _is_run(Path(path)) else path for path in _paths(incomplete, _is_run)]


def columns(incomplete: str) -> list[str]:
    """Offer the columns of the points. In an expression, completes the last word."""
    from results.schema import POINTS

    before, space, word = incomplete.rpartition(" ")
    return [f"{before}{space}{name}" for name in _starting(word, POINTS.names)]


def number_columns(incomplete: str) -> list[str]:
    """Offer the numeric columns of the points, which can be objectives."""
    import pyarrow as pa

    from results.schema import POINTS

    kinds = (pa.types.is_floating, pa.types.is_integer)
    names = [field.name for field in POINTS if any(is_kind(field.type) for is_kind in kinds)]
    return _starting(incomplete, names)


def pairs(incomplete: str) -> list[str]:
    """Offer ``COLUMN=`` for every numeric column of the points."""
    return [f"{name}=" for name in number_columns(incomplete)]


def points(ctx: typer.Context, incomplete: str) -> list[str]:
    """Offer the short names of the points on RUN's front; after the first letters, those of all points."""
    return _or_nothing(lambda: _points(str(ctx.params.get("run") or ""), incomplete))


def assignments(incomplete: str) -> list[str]:
    """Offer ``PATH=`` for every field of a sweep, including those below ``trial.`` and ``sweep.``."""
    return _or_nothing(lambda: _starting(incomplete, [f"{path}=" for path in _sweep_paths()]))


def formats(incomplete: str) -> list[str]:
    """Offer the formats of ``shrinksweep front``."""
    return _starting(incomplete, FORMATS)


def _points(run: str, incomplete: str) -> list[str]:
    from orchestrator.status.tables import short_point
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


def _paths(incomplete: str, is_wanted: Callable[[Path], bool]) -> list[str]:
    """Return the folders that start with ``incomplete``, and the files that are wanted as well."""
    folder, slash, start = incomplete.rpartition("/")
    found = []
    for path in sorted(_entries(Path(folder + slash or "."))):
        if path.name.startswith(start) and path.name.startswith(".") == start.startswith("."):
            name = f"{folder}{slash}{path.name}"
            if path.is_dir():
                found.append(f"{name}/")
            elif is_wanted(path):
                found.append(name)
    return found[:MOST]


def _entries(folder: Path) -> list[Path]:
    try:
        return list(folder.expanduser().iterdir())
    except OSError:
        return []


def _is_run(path: Path) -> bool:
    return (path / "sweep.yaml").is_file() and (path / "ledger").is_dir()


def _starting(incomplete: str, names: Iterable[str]) -> list[str]:
    return [name for name in names if name.startswith(incomplete)][:MOST]


def _or_nothing(find: Callable[[], list[str]]) -> list[str]:
    try:
        return find()
    except Exception:
        return []
