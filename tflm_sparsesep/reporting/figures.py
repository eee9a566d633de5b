"""Inline SVG: bars without text, which scale to any width."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

_HEIGHT = 100.0


def bar(value: float, largest: float, kind: str) -> str:
    """Return a horizontal bar, `value` of `largest` wide; `kind` is its CSS class."""
    width = 100 * value / largest if largest else 0.0
    return (
        '<svg class="bar" viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true">'
        f'<rect class="{kind}" width="{max(width, 0.3):.2f}" height="10"/></svg>'
    )


def columns(values: Sequence[float], largest: float, titles: Sequence[str], kind: str) -> str:
    """Return one column for each value; hovering over one shows its title."""
    step = 100 / max(1, len(values))
    rects = []
    for at, (value, title) in enumerate(zip(values, titles, strict=True)):
        height = _HEIGHT * value / largest if largest else 0.0
        rects.append(
            f'<rect class="{kind}" x="{at * step + 0.08 * step:.2f}" y="{_HEIGHT - height:.2f}" '
            f'width="{0.84 * step:.2f}" height="{height:.2f}"><title>{escape(title)}</title></rect>'
        )
    return (
        '<svg class="columns" viewBox="0 0 100 100" preserveAspectRatio="none" role="img">'
        f"{''.join(rects)}</svg>"
    )
