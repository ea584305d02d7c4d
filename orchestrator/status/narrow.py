"""Tables and bars on terminals that are too narrow for them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console, ConsoleOptions, RenderResult
from rich.measure import Measurement
from rich.progress_bar import ProgressBar
from rich.table import Column, Table
from rich.text import Text

BAR_WIDTH = 60
"""The most columns of the bar over all trials."""

UNBOUNDED = 100_000
"""A width that no table has."""


class SparingTable(Table):
    """A table that says which of its columns a narrow terminal can do without."""

    spare: Sequence[str] = ()
    """Headings, the first to go first."""


@dataclass(frozen=True)
class Fitted:
    """A table without the columns for which there is no room; a line below it names them.

    First go the columns that the table can spare, then the others from the right. The first column stays.
    """

    table: Table

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Draw as many columns as there is room for."""
        table, left_out = self.table, []
        for column in self._in_order():
            if Measurement.get(console, options.update(width=UNBOUNDED), table).maximum <= options.max_width:
                break
            left_out.append(" ".join(str(column.header).replace("_\n", "_").split()))
            table = _with_columns(table, [kept for kept in table.columns if kept is not column])
        yield table
        if left_out and table.show_header:
            yield Text(f"no room for: {', '.join(left_out)}", style="dim")

    def _in_order(self) -> list[Column]:
        """Return the columns in the order in which they go."""
        headings = self.table.spare if isinstance(self.table, SparingTable) else ()
        by_name = {str(column.header): column for column in self.table.columns}
        spare = [by_name[name] for name in headings if name in by_name]
        return spare + [column for column in reversed(self.table.columns[1:]) if column not in spare]


def overall_bar(done: int, total: int) -> Table:
    """Return the bar over all trials, in a line of its own at any width."""
    grid = Table.grid(expand=False)
    grid.add_column(max_width=BAR_WIDTH)
    grid.add_row(ProgressBar(total=max(1, total), completed=done))
    return grid


def _with_columns(table: Table, columns: Sequence[Column]) -> Table:
    copy = Table(
        *columns,
        title=table.title,
        title_justify=table.title_justify,
        box=table.box,
        padding=table.padding,
        pad_edge=table.pad_edge,
        show_header=table.show_header,
    )
    copy.rows = table.rows
    return copy
