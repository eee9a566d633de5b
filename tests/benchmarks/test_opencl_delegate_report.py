"""The tables of benchmarks/opencl_delegate are those of its committed results."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.scripts import load_script

FOLDER = Path(__file__).parents[2] / "benchmarks/opencl_delegate"


def test_the_tables_are_those_of_the_results(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(FOLDER)
    measure = load_script("benchmarks/opencl_delegate/measure.py")
    results = json.loads((FOLDER / "results.json").read_text())
    page = (FOLDER / "README.md").read_text()
    assert measure.start_table(results["starts"]) in page
    assert measure.layer_table(results["layers"]) in page
    assert [row["layer"] for row in results["layers"]] == [s.name for s in measure.LAYERS]
    # What docs/mobile.md says of cache_dir.
    assert all(row["first_seconds"] > 5 * row["second_seconds"] for row in results["starts"])
