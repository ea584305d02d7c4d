"""``schema``: the sweep file's JSON schema, for editors."""

from __future__ import annotations

import json

import typer

from orchestrator.cli.options import Output


def schema(output: Output = None) -> None:
    """Print the JSON schema of sweep files.

    With it, editors complete and check them as you type. Begin a sweep file with the line

    \b
      # yaml-language-server: $schema=sweep.schema.json

    and editors with the YAML language server (VS Code, Neovim, Emacs, ...) know every field and its values.

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
        typer.echo(f"wrote {output}; first line of a sweep file: # yaml-language-server: $schema={output}")
