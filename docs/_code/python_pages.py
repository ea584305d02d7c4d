"""The Python reference: a page for every package, with the names that it hands on."""

from __future__ import annotations

import importlib
import re

from docs._code.docstrings import ROLE, as_markdown

PACKAGES = ("orchestrator", "results", "trials", "trials.coding", "search_space")


def pages() -> dict[str, str]:
    """Return the pages by their path; mkdocstrings fills in what stands behind each name."""
    return {f"reference/{package.rpartition('.')[2]}.md": _page(package) for package in PACKAGES}


def _page(package: str) -> str:
    module = importlib.import_module(package)
    head, _, rest = (module.__doc__ or "").partition("\n")
    names = sorted(module.__all__, key=lambda name: (name.isupper(), name[0].isupper(), name))
    listed = "\n\n".join(f"::: {package}.{name}" for name in names)
    return f"# {package}\n\n{head}\n{_body(rest)}\n{listed}\n"


def _body(text: str) -> str:
    """Return what follows the first line of a docstring; with indented lines, as it stands."""
    body = text.strip("\n")
    if re.search("^ ", body, flags=re.MULTILINE):
        plain = ROLE.sub(r"\1", body)
        return f"\n```text\n{plain}\n```\n"
    return f"\n{as_markdown(body)}\n"
