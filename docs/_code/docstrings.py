"""Docstrings as Markdown: their examples become code, and references to other names are code as well."""

from __future__ import annotations

import re
from typing import Any

import griffe

EXAMPLE = re.compile(r"(?:^[ ]*>>> .*\n?(?:^(?![ ]*$).*\n?)*)", flags=re.MULTILINE)
ROLE = re.compile(r":(?:class|func|mod|data|meth):`~?(?:[\w.]*\.)?(\w+)`")


def as_markdown(text: str) -> str:
    """Return a docstring with every ``>>>`` example fenced, and every role as code."""
    return EXAMPLE.sub(lambda found: f"```pycon\n{found[0].rstrip()}\n```\n", ROLE.sub(r"`\1`", text))


class Docstrings(griffe.Extension):
    """Rewrites every docstring that is collected."""

    def on_instance(self, *, obj: griffe.Object, **_: Any) -> None:
        if obj.docstring:
            obj.docstring.value = as_markdown(obj.docstring.value)
