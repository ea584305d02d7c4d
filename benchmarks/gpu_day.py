"""Nine minutes on a GPU: is everything right there, and how fast is it?

Every section runs in a process of its own with a time limit, correctness before speed, and every result is written at
once: an error, a crash or a timeout costs only what that section had not measured yet. After nine minutes the rest is
skipped. A checkout, torch and a few packages are needed (``docs/gpu.md``), but no Ray, network or installation.

``--device cpu --tiny`` rehearses all of it without a GPU: every section runs at tiny sizes, and no figure gets a value.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys
import tempfile
import time
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import machine
from benchmarks.gpu.plan import LEAST_S, MARGIN_S, PATIENCE, SECONDS, SECTIONS, Section, selected
from benchmarks.gpu.settings import FULL, TINY
from benchmarks.harness import RESULTS, Report, save, write_json

if TYPE_CHECKING:
    from benchmarks.gpu.report import Ran

NEEDED = (
    "torch",
    "numpy",
    "pandas",
    "pyarrow",
    "PIL",
    "pydantic",
    "yaml",
    "lazy_loader",
    "typing_extensions",
)
"""Modules without which no section runs."""
IMAGES = "cifar10_jpg.parquet"
"""Looked for in ``$SHRINKSWEEP_DATA``, unless ``--images`` names a file."""


def main(arguments: list[str] | None = None) -> int:
    """Return 0 if every section was done whole and every check held, 1 if not, 2 for bad arguments."""
    start = time.monotonic()
    options = _parser().parse_args(arguments)
    try:
        sections = selected(options.only)
    except ValueError as error:
        return _refuse(str(error))
    if missing := [name for name in NEEDED if find_spec(name) is None]:
        return _refuse(f"{', '.join(missing)} must be installed or carried along (docs/gpu.md)")
    if options.device == "cpu" and not options.tiny:
        return _refuse("without a GPU there is only a rehearsal: add --tiny")
    if options.device == "cpu":
        os.environ["CUDA_VISIBLE_DEVICES"] = ""
    host = machine.describe()  # before torch is imported: this process must not touch the GPU
    with contextlib.suppress(Exception):  # whatever is wrong with it, the sections that need it will say so
        import_module("trials.search.search")  # imported once: the processes of the sections are forked
    from benchmarks.gpu import report

    ran: list[Ran] = []
    with tempfile.TemporaryDirectory(prefix="gpu-day-") as folder:
        for section in sections:
            left = start + options.seconds - MARGIN_S - time.monotonic()
            ran.append(_run(section, options, left, ran, Path(folder)))
            took = {"took_s": round(time.monotonic() - start, 1)}
            content = report.build(ran, host, _configuration(options) | took, options.tiny, options.commit)
            if options.json:
                _replace(content, options.json)
            if section is SECTIONS[0] and "device" not in report.facts_of(ran):
                return _refuse(f"nothing can be measured: {ran[0].reason}")
    _show(content)
    if options.save and options.tiny:
        print("not saved: a rehearsal measures nothing")
    elif options.save:
        print(f"saved {save(content)}")
    return 0 if report.went_well(ran) else 1


def _run(section: Section, options: argparse.Namespace, left: float, ran: list[Ran], folder: Path) -> Ran:
    """Run a section, and print how it went."""
    from benchmarks.gpu import process, report
    from benchmarks.gpu.day import nothing_found

    print(f"{section.name}: {section.purpose}", flush=True)
    if left < LEAST_S:
        one = report.skipped(section, left)
    else:
        limit = min(section.limit_s * (PATIENCE if options.tiny else 1.0), left)
        out = folder / f"{section.name}.json"
        earlier = report.values_of(ran)
        work = partial(_measure, section.name, options, limit, out, earlier)
        outcome = process.run(work, limit, folder / f"{section.name}.log")
        found = json.loads(out.read_text(encoding="utf-8")) if out.exists() else nothing_found()
        one = report.Ran(section, outcome, found)
    print(f"  {one.state}, {one.outcome.seconds:.1f} s. {one.reason}".rstrip(), flush=True)
    for line in one.outcome.last_lines:
        print(f"  | {line}", flush=True)
    return one


def _measure(
    section: str, options: argparse.Namespace, limit_s: float, out: Path, earlier: dict[str, float]
) -> None:
    """Measure a section; called in its own process."""
    deadline = time.monotonic() + limit_s
    import torch

    from benchmarks.gpu.day import Day
    from benchmarks.gpu.ladder_work import torch_operations

    torch.set_num_threads(1)  # as in a worker
    torch.manual_seed(0)
    day = Day(torch.device(options.device), options.tiny, deadline, out, earlier, options.images)
    with torch_operations() if find_spec("numba") is None else contextlib.nullcontext():
        import_module(f"benchmarks.gpu.sections.{section}").measure(day)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.gpu_day",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="sections:\n" + "\n".join(f"  {s.name:14}{s.purpose} ({s.limit_s:.0f} s)" for s in SECTIONS),
    )
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cuda", help="default: %(default)s")
    parser.add_argument("--tiny", action="store_true", help="tiny sizes: a rehearsal")
    parser.add_argument(
        "--only", nargs="+", default=[], metavar="SECTION", help=f"these sections, after {SECTIONS[0].name}"
    )
    parser.add_argument(
        "--seconds", type=float, default=SECONDS, help="limit of the whole run (default: %(default).0f)"
    )
    parser.add_argument(
        "--json", type=Path, metavar="FILE", help="write the report to FILE after each section"
    )
    parser.add_argument(
        "--save", action="store_true", help=f"keep the report under {RESULTS.parent.name}/results"
    )
    data = os.environ.get("SHRINKSWEEP_DATA")
    parser.add_argument(
        "--images", type=Path, metavar="FILE", default=Path(data) / IMAGES if data else None,
        help=f"CIFAR-10 as Parquet (default: {IMAGES} in $SHRINKSWEEP_DATA; without: random pixels)",
    )  # fmt: skip
    parser.add_argument("--commit", help="commit of the code, where the checkout has no .git")
    return parser


def _configuration(options: argparse.Namespace) -> dict[str, object]:
    setting = TINY if options.tiny else FULL
    return {"tiny": options.tiny, "seconds": options.seconds, "only": options.only, "setting": vars(setting)}


def _replace(content: Report, path: Path) -> None:
    """Write the report so that the file is whole at any moment."""
    part = path.with_name(f"{path.name}.part")
    write_json(content, part)
    os.replace(part, path)


def _show(content: Report) -> None:
    """Print the report in plain columns, the summary last: a GPU machine may have no rich, and its output is a log."""
    for table in sorted(content["tables"], key=lambda table: ": " not in table["title"]):
        print(f"\n{table['title']}")
        for row in table["rows"]:
            print("  " + "  ".join(_cell(cell)[:60] for cell in row.values()).rstrip())
    print("\nfigures")
    for figure in content["figures"]:
        target = "" if figure["target"] is None else f"target {figure['target']:g}: {figure['met']}"
        print(f"  {figure['name']:28}{_cell(figure['value']):>12} {figure['unit']}  {target}".rstrip())


def _cell(cell: str | float | None) -> str:
    return "-" if cell is None else f"{cell:.4g}" if isinstance(cell, float) else str(cell)


def _refuse(message: str) -> int:
    print(f"error: {message}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
