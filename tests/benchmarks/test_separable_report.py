"""The committed table of benchmarks/separable_conv is what its committed results give."""

from __future__ import annotations

import json
from pathlib import Path

from tests.support.scripts import load_script

FOLDER = Path(__file__).parents[2] / "benchmarks/separable_conv"


def test_the_table_is_that_of_the_results() -> None:
    measure = load_script("benchmarks/separable_conv/measure.py")
    rows = json.loads((FOLDER / "results.json").read_text())["rows"]
    assert len(rows) == 12
    assert measure.table(rows) in (FOLDER / "README.md").read_text()
