"""The committed table of benchmarks/separable_conv is what its committed results give."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

FOLDER = Path(__file__).parents[2] / "benchmarks/separable_conv"


def test_the_table_is_that_of_the_results() -> None:
    spec = importlib.util.spec_from_file_location("separable_measure", FOLDER / "measure.py")
    assert spec is not None
    assert spec.loader is not None
    measure = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(measure)
    rows = json.loads((FOLDER / "results.json").read_text())["rows"]
    assert len(rows) == 12
    assert measure.table(rows) in (FOLDER / "README.md").read_text()
