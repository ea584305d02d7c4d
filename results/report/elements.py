"""HTML put together so that no text can become markup: what is no ``Html`` is escaped."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence

VOID = frozenset({"meta", "wbr"})


class Html(str):
    """Text that is markup already. Made by this module only, and by what draws SVG."""

    __slots__ = ()


def element(tag: str, *children: str, **attributes: str | None) -> Html:
    """Return an element. Children that are no ``Html``, and all attributes, are escaped.

    An attribute that is a Python keyword is written with ``_`` behind it, one with a dash with ``_`` inside.

    >>> element("p", "1 < 2 ", element("b", "yes"), class_="note", aria_label="a \\"note\\"")
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
    """Return children one after the other; those that are no ``Html`` are escaped."""
    return Html("".join(child if isinstance(child, Html) else html.escape(child) for child in children))


def nothing(text: str) -> Html:
    """Return what stands where a picture or a table has nothing to show."""
    return element("p", text, class_="note")


def table(
    head: Sequence[str], rows: Iterable[Sequence[str]], *, caption: str, numeric: Sequence[int] = ()
) -> Html:
    """Return a table that scrolls sideways where it is too wide; ``numeric`` columns are set to the right."""
    right = dict.fromkeys(numeric, "number")
    header = element(
        "tr",
        *(element("th", _breakable(text), scope="col", class_=right.get(i)) for i, text in enumerate(head)),
    )
    body = (
        element("tr", *(element("td", cell, class_=right.get(i)) for i, cell in enumerate(row)))
        for row in rows
    )
    whole = element(
        "table", element("caption", caption), element("thead", header), element("tbody", join(body))
    )
    return element("div", whole, class_="scroll", tabindex="0", role="region", aria_label=caption)


def _breakable(name: str) -> Html:
    """Return a name that may go on in the next line behind each underscore."""
    first, *rest = name.split("_")
    return join([first, *(part for text in rest for part in ("_", element("wbr"), text))])
