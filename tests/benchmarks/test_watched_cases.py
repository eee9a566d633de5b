"""Damaged files in a process that may end: every case gets its outcome."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import tflm_sparsesep as ts
from tests.support.scripts import load_script

watched = load_script("benchmarks/robustness/watched.py")


def refuse(reason: str) -> None:
    raise ts.ModelError(reason)


def run_case(case: int, watch: Any) -> None:
    """Two verbs; the second one depends on the case."""
    assert watch.call("first", lambda: case) == case
    acts: dict[int, Callable[[], object]] = {
        1: lambda: refuse("one line"),
        2: lambda: refuse("the model ended its process by SIGSEGV"),
        3: lambda: 1 / 0,
        4: lambda: os._exit(3),
    }
    watch.call("second", acts.get(case, lambda: case))


def test_every_case_has_an_outcome() -> None:
    found = dict(watched.watched(run_case, range(6)))
    assert list(found) == list(range(6))
    assert all(outcomes.kinds["first"] == "done" for outcomes in found.values())
    kinds = [outcomes.kinds["second"] for outcomes in found.values()]
    assert kinds == ["done", "refused", "ended", "traceback", "end of process", "done"]
    assert "ZeroDivisionError" in found[3].details["second"]
    assert found[4].details["second"].startswith("3\n")
