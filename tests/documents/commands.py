"""Command lines of documents and deployment files, held against the real command line."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator

import typer

from orchestrator.cli import app


def command_lines(text: str) -> Iterator[list[str]]:
    """Yield the arguments of every ``shrinksweep COMMAND ...`` in a text, comments and quotes around it left out."""
    text = re.sub(r"\\\n\s*#?\s*", " ", text)
    for found in re.finditer(r"(?:^|[\s'/`])shrinksweep (?=[a-z-])([^\n`]*)", text, flags=re.MULTILINE):
        line = found[1].split("  #")[0].split(" && ")[0].strip()
        if line.count("'") % 2:  # the quote that the whole command stands in
            line = line.rpartition("'")[0]
        yield shlex.split(line, comments=True)


def check_command(arguments: list[str]) -> str:
    """Parse a command line without running it; return the name of its command. Error: ``click``'s, with the fault."""
    group = typer.main.get_command(app)
    name, *rest = arguments
    command = group.commands[name]  # type: ignore[attr-defined]
    command.make_context(name, rest)
    return name
