"""On a narrow terminal every row is whole, and a line says which columns are not there."""

from __future__ import annotations

import io

import pytest
from rich.console import Console
from rich.console import Group as Parts

from orchestrator.status.narrow import Fitted, SparingTable, overall_bar


def drawn(width: int, part: object) -> list[str]:
    output = io.StringIO()
    Console(file=output, width=width, force_terminal=True, color_system=None).print(part)
    return [line.rstrip() for line in output.getvalue().splitlines()]


def table() -> SparingTable:
    made = SparingTable(box=None, pad_edge=False)
    made.spare = ("s", "lambda")
    for name in ("point", "s", "lambda", "accuracy", "macs"):
        made.add_column(name, no_wrap=True)
    made.add_row("ed9d20b2-01", "1", "0.001", "0.98", "137,231")
    return made


@pytest.mark.parametrize(
    ("width", "heading", "left_out"),
    [
        (80, ["point", "s", "lambda", "accuracy", "macs"], ""),
        (39, ["point", "lambda", "accuracy", "macs"], "no room for: s"),
        (31, ["point", "accuracy", "macs"], "no room for: s, lambda"),
        (21, ["point", "accuracy"], "no room for: s, lambda, macs"),
    ],
)
def test_columns_go_in_the_order_in_which_they_can_be_spared(
    width: int, heading: list[str], left_out: str
) -> None:
    lines = " ".join(drawn(width, Fitted(table()))).split()
    assert lines[: len(heading)] == heading
    assert "ed9d20b2-01" in lines
    assert " ".join(lines).endswith(left_out)
    assert not any("…" in line for line in lines)


@pytest.mark.parametrize("width", [20, 40, 60, 61, 100])
def test_the_overall_bar_has_a_line_of_its_own(width: int) -> None:
    lines = drawn(width, Parts(overall_bar(1, 2), "the first row"))
    assert len(lines) == 2
    assert set(lines[0]) <= set("━╸╺ ")
    assert lines[1] == "the first row"
