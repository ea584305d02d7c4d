"""The commands ``plan`` (what a launch would do) and ``launch``."""

from __future__ import annotations

import shlex
import sys
from decimal import ROUND_CEILING, ROUND_FLOOR, Context
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from orchestrator.cli import completion
from orchestrator.cli.options import MLflow, SweepFile, TensorBoard

if TYPE_CHECKING:
    import pyarrow as pa
    from rich.console import Console

    from orchestrator.launch import Outcome
    from orchestrator.sweep.sweep import Sweep

RunDir = Annotated[
    str | None,
    typer.Option(
        "--run-dir",
        metavar="D",
        help="The run directory: a folder or a URI. [default: runs/NAME]",
        autocompletion=completion.runs,
    ),
]
Address = Annotated[
    str | None,
    typer.Option(
        "--address", metavar="A", help="The Ray cluster: auto or HOST:PORT. [default: this machine]"
    ),
]
Overrides = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="PATH=VALUE",
        help="Override a field of the sweep file; repeatable.",
        autocompletion=completion.assignments,
    ),
]
Trials = Annotated[int | None, typer.Option("--trials", metavar="N", help="Override the number of trials.")]
RetryFailed = Annotated[bool, typer.Option("--retry-failed", help="Run the failed trials again.")]
Quick = Annotated[
    bool,
    typer.Option(
        "--quick", help="Leave out the sizes of the networks and the time, which take some seconds."
    ),
]


def plan(
    sweep_file: SweepFile,
    run_dir: RunDir = None,
    address: Address = None,
    overrides: Overrides = None,
    trials: Trials = None,
    quick: Quick = False,
) -> None:
    """Check a sweep and show what a launch would do.

    Nothing starts. Reports all faults at once, one line each. At the end, some steps of a trial are timed on this
    machine, unless trials of the run have finished already.

    \b
    Examples:
      shrinksweep plan sweep.yaml
      shrinksweep plan sweep.yaml --set strategy.searcher=nsga2
      shrinksweep plan sweep.yaml --set "sweep.space.splitting=[1, 2]"
    """
    from orchestrator.preflight.forecast import forecast
    from orchestrator.preflight.gpu_checks import refuse_unfit_gpus_here
    from orchestrator.preflight.placement import this_machine
    from orchestrator.preflight.plan import describe, make_plan, open_directory
    from orchestrator.sweep.differences import in_terms_of_run

    sweep = _read(sweep_file, overrides, trials)
    directory = open_directory(sweep, run_dir)
    sweep = in_terms_of_run(sweep, directory)
    if address is None:
        checked = make_plan(sweep, directory, this_machine())
        refuse_unfit_gpus_here(sweep)
    else:
        from orchestrator.ray_backend.cluster import ray_session

        with ray_session(address, lambda text: typer.echo(text, err=True)) as nodes:
            checked = make_plan(sweep, directory, nodes)
    typer.echo("\n".join(describe(checked)))
    if not quick:
        sys.stdout.flush()  # what follows takes some seconds
        for line in forecast(checked):
            typer.echo(line)


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
    """Run a sweep, or resume it.

    Launching again finishes the unfinished trials and repeats nothing. With a higher --trials, it then runs new ones.

    \b
    Examples:
      shrinksweep launch sweep.yaml
      shrinksweep launch sweep.yaml --trials 100
      shrinksweep launch sweep.yaml --run-dir s3://bucket/digits --address auto
      shrinksweep launch sweep.yaml --mlflow http://tracking:5000
    """
    from orchestrator.cli.output import open_console
    from orchestrator.launch import conduct
    from orchestrator.preflight.plan import open_directory
    from results.sinks import following, open_sinks

    sweep = _read(sweep_file, overrides, trials)
    console = open_console()
    with following(open_directory(sweep, run_dir), open_sinks(tensorboard, mlflow)):
        outcome = conduct(sweep, run_dir, address=address, console=console, retry_failed=retry_failed)
    show_outcome(outcome, sweep, console)
    if outcome.failed or not outcome.complete:
        raise typer.Exit(1)


def _read(path: Path, overrides: list[str] | None, trials: int | None) -> Sweep:
    from orchestrator.sweep.sweep import Sweep

    trials_override = [f"strategy.trials={trials}"] if trials is not None else []
    return Sweep.from_yaml(path, [*(overrides or []), *trials_override])


def show_outcome(outcome: Outcome, sweep: Sweep, console: Console) -> None:
    """Print how a launch ended: its front, its failed trials, and commands that go on from here."""
    from orchestrator.cli.output import print_table
    from orchestrator.status.tables import front_table
    from results.pareto.no_front import why_no_front

    directory = outcome.directory
    if not outcome.started:
        console.print(f"{sweep.name} is finished: nothing to run. More trials: --trials N", markup=False)
    front = directory.read_front()
    if front is not None and not front.num_rows:
        front = None
        why = why_no_front(outcome.run.points(), sweep.objectives, sweep.bounds)
        console.print(f"there is no front: {why}", markup=False, highlight=False, style="yellow")
    if front is not None:
        print_table(front_table(front, sweep.objectives), console)
    for entry in outcome.failed:
        reason = entry.reason or "no reason known"
        console.print(f"trial {entry.index} failed for good: {reason}", markup=False, style="red")
    if not outcome.complete:
        console.print("not finished: launch again to resume", style="yellow")
    if front is not None:
        console.print("\n".join(next_commands(directory.uri, front, sweep)), markup=False, highlight=False)


def next_commands(uri: str, front: pa.Table, sweep: Sweep) -> list[str]:
    """Return the lines that end a launch: the paths of the results, and commands that read them.

    Args:
        uri: the run directory.
        front: its Pareto front, with a column ``point`` and the objectives.
        sweep: the sweep of the run.
    """
    from orchestrator.status.tables import short_point
    from results.storage.backends.remote_storage import split_uri

    run = uri
    if "://" not in uri and Path(uri).is_relative_to(Path.cwd()):
        run = str(Path(uri).relative_to(Path.cwd()))
    path, query = split_uri(run)
    run = shlex.quote(run)
    objective = next(iter(sweep.maximize or sweep.objectives))
    maximize = sweep.objectives[objective] == "max"
    best_first = front.sort_by([(objective, "descending" if maximize else "ascending")])
    median = float(best_first[objective][best_first.num_rows // 2].as_py())
    # Rounded away from the best value, so that the bound keeps the median point.
    rounding = Context(prec=3, rounding=ROUND_FLOOR if maximize else ROUND_CEILING)
    bound = f"{'>=' if maximize else '<='} {float(rounding.create_decimal_from_float(median)):g}"
    point = short_point(best_first["point"][0].as_py())
    return [
        f"front:  {path}/front.parquet{query}",
        f"points: {path}/points.parquet{query}",
        "next:",
        f'  shrinksweep front {run} --where "{objective} {bound}" --format csv',
        f"  shrinksweep report {run} -o report.html",
        f"  shrinksweep export {run} {point}",
    ]
