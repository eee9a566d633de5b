"""Print tables on terminals of any width, without a cut digit."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.measure import Measurement
from rich.table import Column, Table

# What a column of text gets at least: it wraps.
_TEXT_WIDTH = 20
# The padding of a cell and the line beside it.
_BETWEEN = 3


def print_table(console: Console, table: Table) -> None:
    """Print a table; where its columns do not fit, in parts that repeat the first column.

    Numbers never wrap or lose digits; columns with `no_wrap=False` hold text.
    """
    widths = [_width(console, column) for column in table.columns]
    for part in _parts(widths, console.width - 1):
        console.print(_part(table, part))
        table.title = None


def _width(console: Console, column: Column) -> int:
    """Return the characters that a column needs."""
    cells = [column.header, column.footer, *column.cells]
    widest = max(Measurement.get(console, console.options, cell).maximum for cell in cells)
    return (widest if column.no_wrap else min(widest, _TEXT_WIDTH)) + _BETWEEN


def _parts(widths: Sequence[int], room: int) -> list[list[int]]:
    """Return the columns of each part; a part has the first column and at least one other."""
    parts: list[list[int]] = [[0]]
    left = room - widths[0]
    for index, width in enumerate(widths[1:], 1):
        if width > left and len(parts[-1]) > 1:
            parts.append([0])
            left = room - widths[0]
        parts[-1].append(index)
        left -= width
    return parts


def _part(table: Table, indices: Sequence[int]) -> Table:
    if len(indices) == len(table.columns):
        return table
    part = Table(title=table.title, box=table.box, show_footer=table.show_footer)
    columns = [table.columns[index] for index in indices]
    for column in columns:
        part.add_column(
            column.header,
            column.footer,
            justify=column.justify,
            no_wrap=column.no_wrap,
            overflow=column.overflow,
            style=column.style,
        )
    for cells in zip(*(column.cells for column in columns), strict=True):
        part.add_row(*cells)
    return part
