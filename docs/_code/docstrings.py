"""Docstrings as Markdown: examples become code blocks, references to other names become inline code."""

from __future__ import annotations

import re

import griffe
from typing_extensions import override

EXAMPLE = re.compile(r"(?:^[ ]*>>> .*\n?(?:^(?![ ]*$).*\n?)*)", flags=re.MULTILINE)
ROLE = re.compile(r":(?:class|func|mod|data|meth):`~?(?:[\w.]*\.)?(\w+)`")


def as_markdown(text: str) -> str:
    """Return a docstring with fenced ``>>>`` examples, and with roles as inline code."""
    return EXAMPLE.sub(lambda found: f"```pycon\n{found[0].rstrip()}\n```\n", ROLE.sub(r"`\1`", text))


class Docstrings(griffe.Extension):
    """Rewrites every docstring that mkdocstrings collects."""

    @override
    def on_instance(self, *, obj: griffe.Object, **_: object) -> None:
        if obj.docstring:
            obj.docstring.value = as_markdown(obj.docstring.value)
