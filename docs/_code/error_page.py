"""The page of the errors: the tree of their classes, read from the code."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from docs._code import code_map
from docs._code.code_map import BASE_ERROR, Error

INTRODUCTION = """\
# Errors

Every error that shrinksweep raises on purpose derives from `shrinksweep.ShrinksweepError`. Its message is one line: the
rule and the value received. Most errors are also `ValueError`s. Errors of the libraries that shrinksweep uses pass
through unchanged. [When something goes wrong](../failures.md) explains the most common messages.

Errors can be pickled, so they reach the process that launched a sweep from the workers.
"""


def page() -> str:
    """Return the page: the tree, and the meaning of every error."""
    errors = code_map.errors()
    rows = [
        f"| `{one.name}` | `{_import_path(one)}` | {_also(one, errors)} | {_meaning(one)} |"
        for one, _ in _walk(errors, BASE_ERROR)
    ]
    tree = "\n".join(f"{'    ' * depth}{one.name}" for one, depth in _walk(errors, BASE_ERROR))
    head = "| error | import it as | also a | meaning |\n|---|---|---|---|"
    return "\n".join([INTRODUCTION, f"```text\n{tree}\n```\n", head, *rows, ""])


def _walk(errors: Sequence[Error], base: str, depth: int = 0) -> Iterator[tuple[Error, int]]:
    """Yield a class and the classes below it, with their depth."""
    yield next(one for one in errors if one.name == base), depth
    for one in errors:
        if base in one.bases:
            yield from _walk(errors, one.name, depth + 1)


def _import_path(error: Error) -> str:
    names = (
        one for folder in code_map.public_names(error.module.partition(".")[0]).values() for one in folder
    )
    public = (one.path for one in names if (one.name, one.module) == (error.name, error.module))
    return next(public, f"{error.module}.{error.name}")


def _also(error: Error, errors: Sequence[Error]) -> str:
    """Return the built-in exceptions that a class derives from."""
    own = {one.name: one for one in errors}
    found: list[str] = []
    for base in error.bases:
        found += [_also(own[base], errors)] if base in own else [f"`{base}`"]
    return ", ".join(dict.fromkeys(name for name in found if name and name != "`Exception`"))


def _meaning(error: Error) -> str:
    first = error.meaning.partition("\n\n")[0]
    return " ".join(first.replace("``", "`").split()).replace("|", "\\|")
