"""The table of docs/training.md is what the committed results of benchmarks/palette give."""

from __future__ import annotations

import json
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_table_is_that_of_the_results() -> None:
    rows = json.loads((ROOT / "benchmarks/palette/results.json").read_text())["rows"]
    page = (ROOT / "docs/training.md").read_text()
    assert [row["values"] for row in rows] == ["palette", None]
    for row in rows:
        trained = '`values="palette"`' if row["values"] else "no palette"
        for prefer, found in row["convert"].items():
            instructions = sum(layer["instructions"] for layer in found["layers"])
            line = (
                f"| {trained} | {'product' if prefer == 'None' else prefer} "
                f"| {100 * found['int8_tflm_accuracy']:.2f} "
                f"| {found['file_bytes']:,} | {instructions:,} |"
            )
            assert line in page
