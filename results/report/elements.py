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


def copy_button(text: str) -> Html:
    """Return a button that copies ``text``, which also is its tooltip."""
    return element(
        "button", "copy", type="button", class_="copy", data_copy=text, title=text, aria_label=f"copy {text}"
    )


def table(
    head: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    caption: str,
    numeric: Sequence[int] = (),
    values: Sequence[Sequence[object]] | None = None,
) -> Html:
    """Return a table that scrolls sideways if it is too wide. Columns with an index in ``numeric`` align right.

    With ``values``, one for each cell, a click on a heading sorts the rows by them.
    """
    right = dict.fromkeys(numeric, "number")
    header = element(
        "tr",
        *(
            element("th", _heading(text, values is not None), scope="col", class_=right.get(i))
            for i, text in enumerate(head)
        ),
    )
    body = (
        element(
            "tr",
            *(
                element("td", cell, class_=right.get(i), data_value=_sortable(values, number, i))
                for i, cell in enumerate(row)
            ),
        )
        for number, row in enumerate(rows)
    )
    content = element(
        "table",
        element("caption", caption),
        element("thead", header),
        element("tbody", join(body)),
        class_="sortable" if values is not None else None,
    )
    return element("div", content, class_="scroll", tabindex="0", role="region", aria_label=caption)


def _heading(text: str, sorts: bool) -> Html:
    return element("button", _breakable(text), type="button") if sorts else _breakable(text)


def _sortable(values: Sequence[Sequence[object]] | None, row: int, column: int) -> str | None:
    return None if values is None else str(values[row][column])


def _breakable(name: str) -> Html:
    """Allow a line break after each underscore."""
    first, *rest = name.split("_")
    return join([first, *(part for text in rest for part in ("_", element("wbr"), text))])
