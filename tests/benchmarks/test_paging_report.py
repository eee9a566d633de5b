"""The table of docs/paging.md is what the committed results of benchmarks/paging give."""

from __future__ import annotations

import json
from pathlib import Path

from tests.support.scripts import load_script

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "benchmarks/paging"


def test_the_table_is_that_of_the_results() -> None:
    measure = load_script("benchmarks/paging/measure.py")
    rows = json.loads((FOLDER / "results.json").read_text())["rows"]
    assert [(row["layer"], row["target"], row["page_bytes"]) for row in rows] == [
        (layer, target, page_bytes) for layer, target, _, page_bytes in measure.JOBS
    ]
    assert measure.table(rows) in (ROOT / "docs/paging.md").read_text()
    # What the page says of the memory: a page, and no more than two kilobytes beside it; with a
    # convolution what it takes without pages, too.
    assert all(
        row["scratch_bytes"]
        <= row["page_bytes"]
        + max(2048, 1024 * (row["layer"] == measure.CONVOLUTION) + row["unpaged_scratch_bytes"])
        for row in rows
    )
    assert {round(row["paging_code_bytes"] / 1000, 1) for row in rows} == {2.8, 3.0}
