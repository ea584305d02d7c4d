"""Command lines in documents and deployment files, checked against the real command line."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator

import typer
from typer.core import TyperGroup

from orchestrator.cli import app


def command_lines(text: str) -> Iterator[list[str]]:
    """Yield the arguments of every ``shrinksweep COMMAND ...`` in a text, without comments and enclosing quotes."""
    text = re.sub(r"\\\n\s*#?\s*", " ", text)
    for found in re.finditer(r"(?:^|[\s'/`])shrinksweep (?=[a-z-])([^\n`]*)", text, flags=re.MULTILINE):
        line = found[1].split("  #")[0].split(" && ")[0].strip()
        if line.count("'") % 2:  # the end of a quote around the whole command
            line = line.rpartition("'")[0]
        yield shlex.split(line, comments=True)


def check_command(arguments: list[str]) -> str:
    """Parse a command line without running it, and return the name of its command.

    Raises:
        Exception: click's, if the command line does not accept the arguments.
    """
    group = typer.main.get_command(app)
    assert isinstance(group, TyperGroup)
    name, *rest = arguments
    group.commands[name].make_context(name, rest)
    return name
