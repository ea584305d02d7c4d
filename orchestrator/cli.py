"""The command line. Ray and torch are loaded only by what needs them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from orchestrator.launch import Outcome
    from orchestrator.sweep import Sweep

app = typer.Typer(
    add_completion=False, no_args_is_help=True, rich_markup_mode=None, pretty_exceptions_enable=False
)

SweepFile = Annotated[Path, typer.Argument(metavar="SWEEP.yaml", help="The sweep file.")]
RunPath = Annotated[str, typer.Argument(metavar="RUN", help="A run directory, or its URI.")]
RunDir = Annotated[
    str | None, typer.Option("--run-dir", metavar="D", help="Where the run is kept [default: runs/NAME].")
]
Address = Annotated[
    str | None, typer.Option("--address", metavar="A", help="A Ray cluster; without it, this machine.")
]
Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="PATH=VALUE", help="Another value for a field of the sweep; repeatable."),
]
Trials = Annotated[int | None, typer.Option("--trials", metavar="N", help="Another budget.")]
Output = Annotated[Path | None, typer.Option("-o", "--output", metavar="FILE", help="Write to a file.")]
Columns = list[str] | None


@app.callback()
def shrinksweep() -> None:
    """Launch sweeps of supernet searches, and read their Pareto fronts.

    \b
    Examples:
      shrinksweep plan examples/digits.yaml          check a sweep, start nothing
      shrinksweep launch examples/digits.yaml        run it, or go on with it
      shrinksweep status runs/digits                 what it has come to
      shrinksweep front runs/digits                  the points that no other dominates

    Exit status: 0 done, 1 some trials failed for good, 2 bad input.
    """


@app.command()
def plan(
    sweep_file: SweepFile,
    run_dir: RunDir = None,
    address: Address = None,
    overrides: Overrides = None,
    trials: Trials = None,
) -> None:
    """Check a sweep and say what a launch would do. Every fault is one line.

    \b
    Examples:
      shrinksweep plan sweep.yaml
      shrinksweep plan sweep.yaml --set strategy.searcher=nsga2 --set "sweep.space.splitting=[1, 2]"
    """
    from orchestrator.cluster import ray_session
    from orchestrator.plan import describe, make_plan, open_directory, this_machine

    sweep = _read(sweep_file, overrides, trials)
    directory = open_directory(sweep, run_dir)
    if address is None:
        made = make_plan(sweep, directory, this_machine())
    else:
        with ray_session(address) as nodes:
            made = make_plan(sweep, directory, nodes)
    typer.echo("\n".join(describe(made)))


@app.command()
def launch(
    sweep_file: SweepFile,
    run_dir: RunDir = None,
    address: Address = None,
    overrides: Overrides = None,
    trials: Trials = None,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Give failed trials another chance.")
    ] = False,
) -> None:
    """Run a sweep, or go on with it: launching again finishes what is unfinished, and repeats nothing.

    \b
    Examples:
      shrinksweep launch sweep.yaml
      shrinksweep launch sweep.yaml --trials 100 --run-dir s3://bucket/runs/digits --address auto
    """
    from rich.console import Console

    from orchestrator.launch import conduct

    sweep = _read(sweep_file, overrides, trials)
    console = Console(soft_wrap=True) if not sys.stdout.isatty() else Console()
    outcome = conduct(sweep, run_dir, address=address, console=console, retry_failed=retry_failed)
    _show_outcome(outcome, sweep, console)
    if outcome.failed or not outcome.complete:
        raise typer.Exit(1)


@app.command()
def status(run: RunPath) -> None:
    """Say what a run has come to: trials by state, epochs, failures.

    \b
    Example:
      shrinksweep status runs/digits
    """
    from results import open_run

    typer.echo(_status_text(open_run(run).trials()))


@app.command()
def front(
    run: RunPath,
    maximize: Annotated[Columns, typer.Option("--max", metavar="COL", help="More is better.")] = None,
    minimize: Annotated[Columns, typer.Option("--min", metavar="COL", help="Less is better.")] = None,
    where: Annotated[str | None, typer.Option(metavar="EXPR", help="Keep the points it is true for.")] = None,
    form: Annotated[
        str, typer.Option("--format", metavar="F", help="table, csv, parquet or json.")
    ] = "table",
    output: Output = None,
) -> None:
    """Show the points that no other dominates, best first in the first objective.

    \b
    Examples:
      shrinksweep front runs/digits
      shrinksweep front runs/digits --max accuracy --min memory_bytes --where "splitting in (1, 2)"
      shrinksweep front runs/digits --format csv -o front.csv
    """
    from orchestrator.front_output import write_front

    write_front(run, maximize or [], minimize or [], where, form, output)


@app.command()
def report(run: RunPath, output: Output = None) -> None:
    """Write a report of a run: one HTML file with its fronts.

    \b
    Example:
      shrinksweep report runs/digits -o digits.html
    """
    from results import open_run, write_report

    path = output or Path("report.html")
    write_report(open_run(run), path)
    typer.echo(f"wrote {path}")


@app.command()
def export(
    run: RunPath,
    point: Annotated[str, typer.Argument(metavar="POINT", help="A point, as the front names it.")],
    output: Output = None,
) -> None:
    """Write the trained network behind a point to a folder: program, weights, model card, a script that loads it.

    \b
    Example:
      shrinksweep export runs/digits 0123abcd-02 -o network
    """
    from results import RunDirectory
    from trials.export import export_point

    folder = export_point(RunDirectory(run), point, output)
    typer.echo(f"wrote {folder}; try it: python {folder}/load.py")


def _read(path: Path, overrides: list[str] | None, trials: int | None) -> Sweep:
    from orchestrator.sweep import Sweep

    budget = [f"strategy.trials={trials}"] if trials is not None else []
    return Sweep.from_yaml(path, [*(overrides or []), *budget])


def _show_outcome(outcome: Outcome, sweep: Sweep, console: Any) -> None:
    from orchestrator.progress import front_table

    directory = outcome.directory
    if not outcome.started:
        console.print(f"{sweep.name} is finished: nothing to run. More trials: --trials N", markup=False)
    stored = directory.read_front()
    if stored is not None:
        console.print(front_table(stored, dict(sweep.objectives)))
    for entry in outcome.failed:
        reason = entry.failures[-1] if entry.failures else "no reason known"
        console.print(f"trial {entry.index} failed for good: {reason}", markup=False, style="red")
    if not outcome.complete:
        console.print("not finished: launch again to go on", style="yellow")
    if stored is not None:
        console.print("\n".join(_next_commands(directory.uri, stored, sweep)), markup=False, highlight=False)


def _next_commands(uri: str, stored: Any, sweep: Sweep) -> list[str]:
    from orchestrator.progress import short_point

    shown = uri
    if "://" not in uri and Path(uri).is_relative_to(Path.cwd()):
        shown = str(Path(uri).relative_to(Path.cwd()))
    objective = next(iter(sweep.maximize or sweep.objectives))
    order = "descending" if sweep.objectives[objective] == "max" else "ascending"
    best = stored.sort_by([(objective, order)])
    middle = best[objective][best.num_rows // 2].as_py()
    point = short_point(best["point"][0].as_py())
    return [
        f"front:  {shown}/front.parquet",
        f"points: {shown}/points.parquet",
        "next:",
        f'  shrinksweep front {shown} --where "{objective} > {middle:.3g}" --format csv',
        f"  shrinksweep report {shown} -o report.html",
        f"  shrinksweep export {shown} {point}",
    ]


def _status_text(trials: Any) -> str:
    if not len(trials):
        return "no trial was proposed yet"
    counts = trials["state"].astype(str).value_counts()
    lines = [f"{len(trials)} trials: " + ", ".join(f"{count} {state}" for state, count in counts.items())]
    for trial in trials.itertuples():
        state = str(trial.state)
        if state in ("running", "proposed"):
            epochs = f"{trial.epochs_done}/{trial.epochs}"
            lines.append(f"  trial {trial.trial_index}: {state}, {epochs} epochs")
        elif state == "failed":
            lines.append(f"  trial {trial.trial_index}: failed, {trial.reason}")
    return "\n".join(lines)


def main() -> None:
    """Run the command line; what the user did wrong is one line a fault, and exit status 2."""
    try:
        app()
    except ValueError as error:
        from orchestrator.errors import OrchestratorError
        from results import ResultsError

        if not isinstance(error, OrchestratorError | ResultsError):
            raise
        for line in str(error).splitlines():
            typer.echo(f"error: {line}", err=True)
        sys.exit(2)


if __name__ == "__main__":
    main()
