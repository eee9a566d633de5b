"""A bar on stderr that counts steps."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

from rich.console import Console
from rich.progress import Progress


@contextlib.contextmanager
def steps_bar(name: str, total: int | None = None, *, shown: bool) -> Iterator[Callable[[], None]]:
    """Give a function to call after each step."""
    with Progress(console=Console(stderr=True), transient=True, disable=not shown) as bar:
        task = bar.add_task(name, total=total)
        yield lambda: bar.advance(task)
