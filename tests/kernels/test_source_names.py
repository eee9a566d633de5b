"""Names of C sources: a build may put all objects in one folder, where equal names overwrite."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_no_two_sources_give_an_object_of_the_same_name() -> None:
    sources = [
        path
        for folder in ("kernels", "custom_ops")
        for path in (ROOT / folder).rglob("*")
        if path.suffix in (".c", ".cc")
    ]
    assert len(sources) > 50
    assert [name for name, n in Counter(path.stem for path in sources).items() if n > 1] == []
