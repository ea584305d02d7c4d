"""The command line, as it describes itself."""

from __future__ import annotations

import typer

from orchestrator.cli import app

INTRODUCTION = """\
# Command line

What `shrinksweep COMMAND --help` prints. Exit status: 0 done, 1 some trials failed for good, 2 bad input: one line a
fault, the rule and the value received.
"""


def page() -> str:
    """Return the page: the help of every command."""
    group = typer.main.get_command(app)
    parts = [INTRODUCTION, _help(group, "shrinksweep")]
    for name, command in group.commands.items():  # type: ignore[attr-defined]
        parts.append(f"## {name}\n\n{_help(command, f'shrinksweep {name}')}")
    return "\n".join(parts)


def _help(command: typer.core.TyperCommand | typer.core.TyperGroup, name: str) -> str:
    context = command.context_class(command, info_name=name, terminal_width=100, max_content_width=100)
    return f"```text\n{command.get_help(context).strip()}\n```\n"
