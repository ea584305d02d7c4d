"""``plan`` and ``launch``: what a sweep would do, and doing it."""

from __future__ import annotations

import shlex
from decimal import ROUND_CEILING, ROUND_FLOOR, Context
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from orchestrator.cli import completion
from orchestrator.cli.options import MLflow, SweepFile, TensorBoard

if TYPE_CHECKING:
    from rich.console import Console

    from orchestrator.launch import Outcome
    from orchestrator.sweep.sweep import Sweep

RunDir = Annotated[
    str | None,
    typer.Option(
        "--run-dir",
        metavar="D",
        help="Where the run is kept: a folder or a URI [default: runs/NAME].",
        autocompletion=completion.runs,
    ),
]
Address = Annotated[
    str | None, typer.Option("--address", metavar="A", help="A Ray cluster; without it, this machine.")
]
Overrides = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="PATH=VALUE",
        help="Another value for a field of the sweep; repeatable.",
        autocompletion=completion.assignments,
    ),
]
Trials = Annotated[int | None, typer.Option("--trials", metavar="N", help="Another budget.")]
RetryFailed = Annotated[bool, typer.Option("--retry-failed", help="Give failed trials another chance.")]


def plan(
    sweep_file: SweepFile,
    run_dir: RunDir = None,
    address: Address = None,
    overrides: Overrides = None,
    trials: Trials = None,
) -> None:
    """Check a sweep and say what a launch would do.

    Nothing starts, and every fault is one line.

    \b
    Examples:
      shrinksweep plan sweep.yaml
      shrinksweep plan sweep.yaml --set strategy.searcher=nsga2 --set "sweep.space.splitting=[1, 2]"
    """
    from orchestrator.preflight.placement import this_machine
    from orchestrator.preflight.plan import describe, make_plan, open_directory

    sweep = _read(sweep_file, overrides, trials)
    directory = open_directory(sweep, run_dir)
    if address is None:
        made = make_plan(sweep, directory, this_machine())
    else:
        from orchestrator.ray_backend.cluster import ray_session

        with ray_session(address) as nodes:
            made = make_plan(sweep, directory, nodes)
    typer.echo("\n".join(describe(made)))


def launch(
    sweep_file: SweepFile,
    run_dir: RunDir = None,
    address: Address = None,
    overrides: Overrides = None,
    trials: Trials = None,
    retry_failed: RetryFailed = False,
    tensorboard: TensorBoard = None,
    mlflow: MLflow = None,
) -> None:
    """Run a sweep, or go on with it.

    Launching again finishes what is unfinished and repeats nothing; more --trials go on where the run was.

    \b
    Examples:
      shrinksweep launch sweep.yaml
      shrinksweep launch sweep.yaml --trials 100 --run-dir s3://bucket/runs/digits --address auto
      shrinksweep launch sweep.yaml --tensorboard logs --mlflow http://tracking:5000
    """
    from orchestrator.cli.output import open_console
    from orchestrator.launch import conduct
    from orchestrator.preflight.plan import open_directory
    from results.sinks import following, open_sinks

    sweep = _read(sweep_file, overrides, trials)
    console = open_console()
    with following(open_directory(sweep, run_dir), open_sinks(tensorboard, mlflow)):
        outcome = conduct(sweep, run_dir, address=address, console=console, retry_failed=retry_failed)
    _show_outcome(outcome, sweep, console)
    if outcome.failed or not outcome.complete:
        raise typer.Exit(1)


def _read(path: Path, overrides: list[str] | None, trials: int | None) -> Sweep:
    from orchestrator.sweep.sweep import Sweep

    budget = [f"strategy.trials={trials}"] if trials is not None else []
    return Sweep.from_yaml(path, [*(overrides or []), *budget])


def _show_outcome(outcome: Outcome, sweep: Sweep, console: Console) -> None:
    from orchestrator.cli.output import print_table
    from orchestrator.status.progress import front_table

    directory = outcome.directory
    if not outcome.started:
        console.print(f"{sweep.name} is finished: nothing to run. More trials: --trials N", markup=False)
    stored = directory.read_front()
    if stored is not None:
        print_table(front_table(stored, dict(sweep.objectives)), console)
    for entry in outcome.failed:
        reason = entry.reason or "no reason known"
        console.print(f"trial {entry.index} failed for good: {reason}", markup=False, style="red")
    if not outcome.complete:
        console.print("not finished: launch again to go on", style="yellow")
    if stored is not None:
        console.print("\n".join(next_commands(directory.uri, stored, sweep)), markup=False, highlight=False)


def next_commands(uri: str, stored: Any, sweep: Sweep) -> list[str]:
    """Return what is said when a launch has ended: where the front ``stored`` is, and commands about it."""
    from orchestrator.status.progress import short_point
    from results.storage.remote_storage import split_uri

    shown = uri
    if "://" not in uri and Path(uri).is_relative_to(Path.cwd()):
        shown = str(Path(uri).relative_to(Path.cwd()))
    objective = next(iter(sweep.maximize or sweep.objectives))
    more = sweep.objectives[objective] == "max"
    best = stored.sort_by([(objective, "descending" if more else "ascending")])
    middle = float(best[objective][best.num_rows // 2].as_py())
    away = Context(prec=3, rounding=ROUND_FLOOR if more else ROUND_CEILING)  # so that the middle is kept
    bound = f"{'>=' if more else '<='} {float(away.create_decimal_from_float(middle)):g}"
    point = short_point(best["point"][0].as_py())
    path, query = split_uri(shown)
    shown = shlex.quote(shown)
    return [
        f"front:  {path}/front.parquet{query}",
        f"points: {path}/points.parquet{query}",
        "next:",
        f'  shrinksweep front {shown} --where "{objective} {bound}" --format csv',
        f"  shrinksweep report {shown} -o report.html",
        f"  shrinksweep export {shown} {point}",
    ]
