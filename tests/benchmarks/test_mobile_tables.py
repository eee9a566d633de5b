"""Tables and break-even zeros of benchmarks/mobile."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tests.support.scripts import load_script

FOLDER = Path(__file__).parents[2] / "benchmarks/mobile"


@pytest.fixture(scope="module")
def report() -> ModuleType:
    return load_script("benchmarks/mobile/tables.py")


def layer(zeros_and_ms: dict[float, float]) -> dict[str, Any]:
    """One whose dense models take 2 ms."""
    sparse = [{"zeros": zeros, "ms": {"sparse": ms}} for zeros, ms in zeros_and_ms.items()]
    return {"name": "a layer", "dense_ms": {"float32": 2.0, "int8": 2.0}, "sparse": sparse}


@pytest.mark.parametrize(
    ("zeros_and_ms", "expected"),
    [
        ({0.5: 5.0, 0.9: 1.0}, 0.8),  # 4 ms over 0.4: 3 ms are 0.3
        ({0.9: 1.0, 0.5: 5.0}, 0.8),
        ({0.5: 1.9, 0.7: 3.0, 0.9: 1.0}, 0.8),  # it must win from there on
        ({0.5: 1.9, 0.9: 1.0}, 0.0),
        ({0.5: 5.0, 0.9: 2.1}, None),
    ],
)
def test_break_even(
    report: ModuleType, zeros_and_ms: dict[float, float], expected: float | None
) -> None:
    found = report.break_even(layer(zeros_and_ms), "sparse", "int8")
    assert found == (expected if expected is None else pytest.approx(expected))


def test_the_tables_are_those_of_the_results(report: ModuleType) -> None:
    results = json.loads((FOLDER / "results.json").read_text())
    assert [run["threads"] for run in results["runs"]] == [2, 1]
    assert [len(run["layers"]) for run in results["runs"]] == [4, 4]
    assert report.tables(results) in (FOLDER / "README.md").read_text()
