"""Run all benchmarks one after the other, and print one table at the end: ``python -m benchmarks [--quick]``.

Each benchmark runs in a process of its own: its threads, caches and peak memory do not affect the next.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console

from benchmarks.harness import FigureJson, Report, figure_table, write_json

FOLDER = Path(__file__).parent
APART = ("faults", "feature_maps", "gpu_day")
"""Run on their own: they take an hour, or need a GPU."""


def benchmark_names(folder: Path = FOLDER) -> list[str]:
    """Return the modules of a folder that run as scripts, in alphabetical order, without those in ``APART``."""
    modules = (p for p in sorted(folder.glob("*.py")) if not p.name.startswith("_"))
    modules = (p for p in modules if p.stem not in APART)
    return [p.stem for p in modules if '\nif __name__ == "__main__":' in p.read_text(encoding="utf-8")]


def run(name: str, quick: bool, folder: Path) -> Report | None:
    """Run one benchmark and return its report, or None if it failed."""
    target = folder / f"{name}.json"
    command = [sys.executable, "-m", f"benchmarks.{name}", "--json", str(target)] + ["--quick"] * quick
    finished = subprocess.run(command, cwd=FOLDER.parent, check=False)
    if finished.returncode or not target.exists():
        return None
    content: Report = json.loads(target.read_text(encoding="utf-8"))
    return content


def main(arguments: list[str] | None = None) -> int:
    """Return 0 if every benchmark ran, 1 if one failed. A missed target is shown, but is not a failure."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="smaller sizes and fewer rounds")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the list of reports to FILE")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        reports = {name: run(name, options.quick, Path(folder)) for name in benchmark_names()}
    done = [r for r in reports.values() if r is not None]
    failed = [name for name, content in reports.items() if content is None]
    figures: list[FigureJson] = [
        {**figure, "name": f"{r['benchmark']}.{figure['name']}"} for r in done for figure in r["figures"]
    ]
    Console().print(figure_table("all benchmarks", figures))
    if options.json:
        write_json({"reports": done, "failed": failed}, options.json)
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
