"""Durations as people read them."""

from __future__ import annotations


def format_duration(seconds: float) -> str:
    """Return a duration in two units at most.

    >>> format_duration(42.4), format_duration(130.0), format_duration(7500.0), format_duration(200000.0)
    ('42 s', '2 min 10 s', '2 h 05 min', '2 d 07 h')
    """
    whole = round(seconds)
    for unit, size, part, part_size in (("d", 86400, "h", 3600), ("h", 3600, "min", 60), ("min", 60, "s", 1)):
        if whole >= size:
            return f"{whole // size} {unit} {whole % size // part_size:02} {part}"
    return f"{whole} s"
