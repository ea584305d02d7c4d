"""The command ``schema``: the JSON schema of sweep files, for editors."""

from __future__ import annotations

import json

import typer

from orchestrator.cli.options import Output


def schema(output: Output = None) -> None:
    """Print the JSON schema of sweep files.

    Editors with the YAML language server (VS Code, Neovim, Emacs, ...) use it to complete and check a sweep file. The
    first line of the sweep file names it:

    \b
      # yaml-language-server: $schema=sweep.schema.json

    \b
    Examples:
      shrinksweep schema -o sweep.schema.json
      shrinksweep schema
    """
    from orchestrator.cli.output import write_file
    from orchestrator.sweep.sweep_schema import sweep_schema

    text = json.dumps(sweep_schema(), indent=1) + "\n"
    if output is None:
        typer.echo(text, nl=False)
    else:
        write_file(output, text.encode())
        typer.echo(f"first line of a sweep file: # yaml-language-server: $schema={output}")
