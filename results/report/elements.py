"""HTML elements that are safe by construction: every text that is not ``Html`` is escaped."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence

VOID = frozenset({"meta", "wbr"})
"""Tags without content and closing tag."""


class Html(str):
    """Trusted markup. Made only by this module, by the page and by functions that draw SVG."""

    __slots__ = ()


def element(tag: str, *children: str, **attributes: str | None) -> Html:
    """Return an element. Children that are not ``Html`` are escaped, and so are all attributes.

    A trailing ``_`` in an attribute name is dropped (``class_``); any other ``_`` becomes a dash (``aria_label``). An
    attribute of value None is left out.

    >>> element("p", "1 < 2 ", element("b", "yes"), class_="note", aria_label='a "note"')
    '<p class="note" aria-label="a &quot;note&quot;">1 &lt; 2 <b>yes</b></p>'
    """
    written = "".join(
        f' {name.rstrip("_").replace("_", "-")}="{html.escape(value)}"'
        for name, value in attributes.items()
        if value is not None
    )
    if tag in VOID:
        return Html(f"<{tag}{written}>")
    return Html(f"<{tag}{written}>{join(children)}</{tag}>")


def join(children: Iterable[str]) -> Html:
    """Concatenate children; those that are not ``Html`` are escaped."""
    return Html("".join(child if isinstance(child, Html) else html.escape(child) for child in children))


def placeholder(text: str) -> Html:
    """Return the note in place of a figure or table that has nothing to show."""
    return element("p", text, class_="note")


def table(
    head: Sequence[str], rows: Iterable[Sequence[str]], *, caption: str, numeric: Sequence[int] = ()
) -> Html:
    """Return a table that scrolls sideways if it is too wide. Columns with an index in ``numeric`` align right."""
    right = dict.fromkeys(numeric, "number")
    header = element(
        "tr",
        *(element("th", _breakable(text), scope="col", class_=right.get(i)) for i, text in enumerate(head)),
    )
    body = (
        element("tr", *(element("td", cell, class_=right.get(i)) for i, cell in enumerate(row)))
        for row in rows
    )
    content = element(
        "table", element("caption", caption), element("thead", header), element("tbody", join(body))
    )
    return element("div", content, class_="scroll", tabindex="0", role="region", aria_label=caption)


def _breakable(name: str) -> Html:
    """Allow a line break after each underscore."""
    first, *rest = name.split("_")
    return join([first, *(part for text in rest for part in ("_", element("wbr"), text))])
