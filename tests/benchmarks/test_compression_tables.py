"""The committed tables of benchmarks/compression are what its committed results give."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType

import pytest

from tests.support.scripts import load_script

pytest.importorskip("matplotlib", reason="no matplotlib: pip install matplotlib")

FOLDER = Path(__file__).parents[2] / "benchmarks/compression"


def script(name: str) -> ModuleType:
    return load_script(f"benchmarks/compression/{name}.py")


def test_the_tables_are_those_of_the_results() -> None:
    tables = script("tables")
    nets = json.loads((FOLDER / "results.json").read_text())["nets"]
    assert nets
    for page in tables.PAGES:
        text = page.read_text()
        assert tables.nets_table(nets) in text
        assert tables.forms_table(nets) in text
    for net in nets.values():
        before = net["float_weights"] + net["float_arena"]
        for row in net["compressed"]:
            assert row["memory_ratio"] == round(before / (row["weights"] + row["arena"]), 1)
            assert row["points_lost"] == round(net["float_accuracy"] - row["accuracy"], 2)


def test_the_tables_of_networks_trained_on_and_of_models_of_others_are_those_of_the_results() -> (
    None
):
    tables = script("tables")
    tuned = json.loads((FOLDER / "finetuned.json").read_text())["rows"]
    others = json.loads((FOLDER / "third_party.json").read_text())["rows"]
    for page in tables.PAGES:
        text = page.read_text()
        assert tables.finetuned_table(tuned) in text
        assert tables.third_party_table(others) in text
    # Asked for on the samples of the search; judged on others.
    assert all(row["is_unchanged"] or row["held_out_db"] >= row["asked_db"] for row in others)
    # No larger than before, but for a step of the files' alignment.
    assert all(max(row["after"]["file"]) <= row["before"]["file"] + 16 for row in tuned)


def test_a_front_holds_no_point_that_a_smaller_file_equals() -> None:
    front = script("front").front
    points = [(4, 10.0), (1, 2.0), (2, 1.0), (2, 5.0), (3, 5.0), (1, 1.0)]
    assert front(points) == [(1, 2.0), (2, 5.0), (4, 10.0)]
    for net in json.loads((FOLDER / "front.json").read_text())["nets"].values():
        kept = front([(size, sqnr) for sqnr, size, _ in net["points"]])
        assert len(kept) >= 8
        assert kept == sorted(kept, key=lambda point: point[1])
        assert kept[-1][0] <= net["dense_bytes"]
