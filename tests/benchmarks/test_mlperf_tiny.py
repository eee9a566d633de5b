"""The table of benchmarks/mlperf_tiny is that of its results, and what they say of each row."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.support.scripts import load_script

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "benchmarks/mlperf_tiny"


def rows_module() -> Any:
    return load_script("benchmarks/mlperf_tiny/rows.py")


def test_the_page_has_the_table_of_the_results() -> None:
    module = rows_module()
    assert module.table(module.load()) in (FOLDER / "README.md").read_text()


def test_every_trained_row_has_its_dense_network_and_ours_gains_on_every_core() -> None:
    found = rows_module().load()

    def setting(row: dict[str, Any]) -> tuple[Any, ...]:
        return tuple(row[name] for name in ("model", "epochs", "samples", "seed"))

    dense = {setting(row): row for row in found if row["method"] == "dense"}
    assert {row["model"] for row in found} == {"ds_cnn", "resnet8"}
    assert {row["method"] for row in found} == {"dense", "ours", "tfmot"}
    for row in found:
        baseline = dense[setting(row)]
        assert row["dense_accuracy"] == baseline["accuracy"]
        assert row["dense_instructions"] == baseline["dense_instructions"]
        if row["method"] == "ours":
            assert row["file_bytes"] < baseline["file_bytes"]
            for core, count in row["instructions"].items():
                assert count < row["dense_instructions"][core]


def test_adding_a_row_writes_the_page(tmp_path: Path, monkeypatch: Any) -> None:
    module = rows_module()
    (row, *_) = module.load()
    page = tmp_path / "README.md"
    page.write_text("above\n<!-- trained -->\nold\n<!-- end of trained -->\nbelow\n")
    monkeypatch.setattr(module, "PAGE", page)
    monkeypatch.setattr(module, "RESULTS", tmp_path / "results.json")
    module.add(row)
    module.add({**row, "accuracy": 12.34})
    assert module.load() == [{**row, "accuracy": 12.34}]
    assert module.find(row["command"])["accuracy"] == 12.34
    text = page.read_text()
    assert text.startswith("above\n<!-- trained -->\n| network")
    assert text.endswith("|\n<!-- end of trained -->\nbelow\n")
    assert "12.34" in text
    assert "old" not in text


def test_published_networks_lose_nothing_and_gain_on_every_core() -> None:
    page, readme = (FOLDER / "README.md").read_text(), (ROOT / "README.md").read_text()
    rows = json.loads((FOLDER / "published.json").read_text())
    assert len(rows) == 4
    for row in rows:
        assert row["accuracy"] == row["dense_accuracy"]
        before, after = row["dense_file_bytes"], row["file_bytes"]["cortex-m4"]
        assert after < before
        assert f"| {before:,} -> {after:,} |" in page
        assert f"| {before:,} -> {after:,} |" in readme
        for core, count in row["instructions"].items():
            dense = row["dense_instructions"][core]
            assert count < dense
            assert f"{dense:,} -> {count:,}" in page
            if core != "cortex-m3":
                assert f"{dense / 1e6:.2f}M -> {count / 1e6:.2f}M, {dense / count:.1f}x" in readme
