"""The HTML page around the sections: head, content security policy, navigation, and the figures as JSON.

The page works offline and never runs text of a run as code: its policy forbids loading anything and allows only the
scripts whose checksums it names. The figures are JSON in a script block that no text can close.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from results.report.elements import Html, element, join
from results.report.script import SCRIPT
from results.report.style import STYLE

if TYPE_CHECKING:
    import plotly.graph_objects as go

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"

MIN_SHARED_LENGTH = 60
"""Arrays and mappings with longer JSON text are stored once and shared between figures."""


@dataclass(frozen=True)
class Control:
    """A drop-down list above a picture: its label, and (value, text) of each option. The first is the default."""

    label: str
    options: Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Picture:
    """An interactive picture: one figure for each combination of the controls' values."""

    name: str
    label: str
    """Text alternative for screen readers."""
    caption: str
    figures: Mapping[str, go.Figure]
    """Figures by the values of the controls, joined by ``|``."""
    controls: Sequence[Control] = ()
    wide: bool = False
    """Whether the picture keeps its width on a narrow screen and scrolls sideways."""
    clickable: bool = False
    """Whether a click on a point shows the command that exports it."""

    def html(self) -> Html:
        """Return the empty plot, which the script fills, with controls and caption."""
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
            element("output", class_="picked", aria_live="polite") if self.clickable else Html(""),
            element("figcaption", self.caption),
        )


@dataclass(frozen=True)
class Section:
    """A section of the page: ``content``, then ``pictures``. ``name`` is its anchor."""

    name: str
    title: str
    content: Sequence[str] = ()
    pictures: Sequence[Picture] = ()

    def html(self) -> Html:
        """Return the section as HTML."""
        pictures = [picture.html() for picture in self.pictures]
        return element("section", element("h2", self.title), *self.content, *pictures, id=self.name)


def page(title: str, sections: Sequence[Section]) -> str:
    """Return the HTML page. ``title`` and all texts of the sections may be untrusted."""
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
        element("footer", "Written by shrinksweep. This page is a single file and works offline."),
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
    """Return the policy: load nothing, run these scripts only. Plotly's WebGL code needs eval."""
    checksums = (base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts)
    allowed = " ".join(f"'sha256-{digest}'" for digest in checksums)
    return (
        f"default-src 'none'; script-src {allowed} 'unsafe-eval'; style-src 'unsafe-inline'; "
        "img-src data: blob:; base-uri 'none'; form-action 'none'"
    )


def _data(sections: Sequence[Section]) -> str:
    """Return all figures as JSON text without characters that could close a script block."""
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


def _interned(value: Json, shared: dict[str, int]) -> Json:
    """Replace long arrays and templates by references ``{"$": index}``; ``shared`` maps their JSON to the index."""
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return [_interned(item, shared) for item in value]
    if isinstance(value, dict) and "bdata" not in value:
        return {name: _interned(item, shared) if name != "template" else _shared(item, shared)
                for name, item in value.items()}  # fmt: skip
    return _shared(value, shared) if isinstance(value, (list, dict)) else value


def _shared(value: Json, shared: dict[str, int]) -> Json:
    text = _compact(value)
    return {"$": shared.setdefault(text, len(shared))} if len(text) > MIN_SHARED_LENGTH else value


def _compact(value: object) -> str:
    return json.dumps(value, separators=(",", ":"), allow_nan=False)
