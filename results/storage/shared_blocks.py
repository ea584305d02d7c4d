"""JSON texts with equal blocks, such as the configurations of the trials of one sweep.

A ledger of a hundred thousand trials repeats the same few blocks. Each is parsed once, and the entries share it: they
take a tenth of the memory.
"""

from __future__ import annotations

from pydantic_core import from_json

from results.record_types import JsonObject

FIELD = "config"
"""The field of a ledger entry that consists of blocks."""

_BEGIN, _BETWEEN, _END = f'\n "{FIELD}": {{\n  "'.encode(), b',\n  "', b"\n },"


class SharedBlocks:
    """Parses texts that ``LedgerEntry.to_json`` has written. What it returns is shared, and must not be changed.

    A text is cut where a block begins, as its line breaks tell. If every piece is a valid object, they hold what the
    whole text holds.
    """

    def __init__(self) -> None:
        self._blocks: dict[bytes, JsonObject] = {}
        self._tails: dict[bytes, JsonObject] = {}

    def parse(self, text: bytes) -> JsonObject | None:
        """Return the content of a text; None if it has another layout, or is not valid JSON."""
        head, begin, rest = text.partition(_BEGIN)
        blocks, end, tail = rest.partition(_END)
        if not (begin and end and head.endswith(b",")):
            return None
        try:
            first: JsonObject = from_json(head[:-1] + b"}", allow_inf_nan=False)
            config: JsonObject = {}
            for block in blocks.split(_BETWEEN):
                config.update(_object(self._blocks, block, b'{"%b}'))
            last = _object(self._tails, tail, b"{%b")
        except ValueError:
            return None
        return {**first, FIELD: config, **last} if first and last else None


def _object(known: dict[bytes, JsonObject], piece: bytes, whole: bytes) -> JsonObject:
    content = known.get(piece)
    if content is None:
        content = known[piece] = from_json(whole % piece, allow_inf_nan=False)
    return content
