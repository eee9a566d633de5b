"""Cells of tables for people."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table
from rich.text import Text

from tflm_sparsesep.converters.errors import printable
from tflm_sparsesep.converters.targets import get_target

NOTHING = "-"
"""A cell without a value."""


def add_row(table: Table, *cells: str) -> None:
    """Add cells to a table as they are: what a file holds is neither markup nor obeyed."""
    table.add_row(*(Text(printable(cell)) for cell in cells))


def short_name(name: str) -> str:
    """Shorten a converted Keras name: `net/dense_1/MatMul` becomes dense_1."""
    parts = name.split("/")
    return parts[-2] if len(parts) > 1 else name


def number(value: int | None) -> str:
    """Format a number with thousands separators."""
    return NOTHING if value is None else f"{value:,}"


def ratio(before: int | None, after: int | None) -> str:
    """Format how many times smaller `after` is."""
    return f"{before / after:.1f}x" if before and after else NOTHING


def not_counted(operators: Sequence[str], target: str) -> list[str]:
    """Return the line that names operators of unknown cost, if there are any."""
    names = ", ".join(operators)
    return [f"{get_target(target).cost_unit} of {names} are not counted"] if operators else []
