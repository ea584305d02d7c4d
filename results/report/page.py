"""The page around the sections: head, policy, navigation, and the pictures as data for the script.

The page must need no network and run no text: its content security policy lets it load nothing, and run only
the scripts whose checksums it names. Pictures are JSON in a block that no text can end.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from results.report.elements import Html, element, join
from results.report.script import SCRIPT
from results.report.style import STYLE

LONG = 60
"""Arrays and mappings whose JSON is longer are stored once, however many pictures hold them."""


@dataclass(frozen=True)
class Control:
    """A choice above a picture: its label, and (value, text) of each alternative, the first one shown."""

    label: str
    options: Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Picture:
    """A picture of the page: a figure for each combination of the controls' values, joined by ``|``."""

    name: str
    label: str
    caption: str
    figures: Mapping[str, Any]
    controls: Sequence[Control] = ()
    wide: bool = False
    """Whether the picture keeps its width on a phone, and scrolls there."""
    picked: bool = False
    """Whether there is a command for a point that is clicked on."""

    def html(self) -> Html:
        """Return the place of the picture, with its controls and its alternative in words."""
        choices = [
            element("label", control.label, " ", element("select", *map(_option, control.options)))
            for control in self.controls
        ]
        shape = "plot wide" if self.wide else "plot"
        plot = element("div", class_=shape, data_picture=self.name, role="img", aria_label=self.label)
        return element(
            "figure",
            element("div", *choices, class_="controls") if choices else Html(""),
            element("div", plot, class_="scroll") if self.wide else plot,
            element("output", class_="picked", aria_live="polite") if self.picked else Html(""),
            element("figcaption", self.caption),
        )


@dataclass(frozen=True)
class Section:
    """A part of the page; ``content`` comes before the pictures, ``after`` behind them."""

    name: str
    title: str
    content: Sequence[str] = ()
    pictures: Sequence[Picture] = ()
    after: Sequence[str] = field(default=())

    def html(self) -> Html:
        """Return the section."""
        pictures = [picture.html() for picture in self.pictures]
        return element(
            "section", element("h2", self.title), *self.content, *pictures, *self.after, id=self.name
        )


def page(title: str, sections: Sequence[Section]) -> str:
    """Return the whole page. ``title`` and all text of the sections may hold anything."""
    from plotly.offline import get_plotlyjs

    scripts = [str(get_plotlyjs()), SCRIPT]
    links = (element("a", section.title, href=f"#{section.name}") for section in sections)
    head = [
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=_policy(scripts)),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("title", f"{title} - shrinksweep"),
        Html(f"<style>{STYLE}</style>"),
    ]
    body = [
        element("header", element("h1", title), element("nav", *links, aria_label="Sections")),
        element("main", *(section.html() for section in sections)),
        element("footer", "Written by shrinksweep. This page is one file and needs no network."),
        Html(f'<script type="application/json" id="pictures">{_data(sections)}</script>'),
        *(Html(f"<script>{script}</script>") for script in scripts),
    ]
    document = element("html", element("head", *head), "\n", element("body", *_lines(body)), lang="en")
    return f"<!DOCTYPE html>\n{document}\n"


def _lines(parts: Sequence[Html]) -> list[Html]:
    return [join([part, "\n"]) for part in parts]


def _option(option: tuple[str, str]) -> Html:
    return element("option", option[1], value=option[0])


def _policy(scripts: Sequence[str]) -> str:
    """Return the policy: load nothing, run these scripts. WebGL pictures compile their own code, thus eval."""
    sums = (base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts)
    allowed = " ".join(f"'sha256-{digest}'" for digest in sums)
    return (
        f"default-src 'none'; script-src {allowed} 'unsafe-eval'; style-src 'unsafe-inline'; "
        "img-src data: blob:; base-uri 'none'; form-action 'none'"
    )


def _data(sections: Sequence[Section]) -> str:
    """Return all figures as JSON in which no character can end a script block."""
    shared: dict[str, int] = {}
    figures = {
        picture.name: {
            key: _interned(json.loads(figure.to_json()), shared) for key, figure in picture.figures.items()
        }
        for section in sections
        for picture in section.pictures
    }
    parts = ",".join(shared)
    text = f'{{"shared":[{parts}],"figures":{_compact(figures)}}}'
    return re.sub("[<>&\u2028\u2029]", lambda match: f"\\u{ord(match[0]):04x}", text)


def _interned(value: Any, shared: dict[str, int]) -> Any:
    """Return ``value`` with its long arrays and styles replaced by ``{"$": place in shared}``."""
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return [_interned(item, shared) for item in value]
    if isinstance(value, dict) and "bdata" not in value:
        return {name: _interned(item, shared) if name != "template" else _shared(item, shared)
                for name, item in value.items()}  # fmt: skip
    return _shared(value, shared) if isinstance(value, (list, dict)) else value


def _shared(value: Any, shared: dict[str, int]) -> Any:
    text = _compact(value)
    return {"$": shared.setdefault(text, len(shared))} if len(text) > LONG else value


def _compact(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), allow_nan=False)
