"""The Python reference: a page for every package, with the names that it hands on."""

from __future__ import annotations

import importlib

PACKAGES = ("orchestrator", "results", "trials", "trials.coding", "search_space")


def pages() -> dict[str, str]:
    """Return the pages by their path; mkdocstrings fills in what stands behind each name."""
    return {f"reference/{package.rpartition('.')[2]}.md": _page(package) for package in PACKAGES}


def _page(package: str) -> str:
    module = importlib.import_module(package)
    head, _, rest = (module.__doc__ or "").partition("\n")
    names = sorted(module.__all__, key=lambda name: (name.isupper(), name[0].isupper(), name))
    listed = "\n\n".join(f"::: {package}.{name}" for name in names)
    return f"# {package}\n\n{head}\n{_literal(rest)}\n{listed}\n"


def _literal(text: str) -> str:
    """Return a docstring's body as it stands: its indented blocks are read as text, not as Markdown."""
    body = text.strip("\n").replace(":func:", "").replace(":class:", "")
    return f"\n```text\n{body}\n```\n" if body.strip() else ""
