"""The page of the command line, made from its own help texts."""

from __future__ import annotations

import typer
from typer.core import TyperCommand, TyperGroup

from orchestrator.cli import app

INTRODUCTION = """\
# Command line

The output of `shrinksweep COMMAND --help` for every command. Exit status: 0 done; 1 some trials failed for good; 2 bad
input, with one line an error that names the rule and the value received.
"""


def page() -> str:
    """Return the page with the help of every command."""
    group = typer.main.get_command(app)
    assert isinstance(group, TyperGroup)
    parts = [INTRODUCTION, _help(group, "shrinksweep")]
    for name, command in group.commands.items():
        assert isinstance(command, TyperCommand)
        parts.append(f"## {name}\n\n{_help(command, f'shrinksweep {name}')}")
    return "\n".join(parts)


def _help(command: TyperCommand | TyperGroup, name: str) -> str:
    context = command.context_class(command, info_name=name, terminal_width=80, max_content_width=80)
    return f"```text\n{command.get_help(context).strip()}\n```\n"
