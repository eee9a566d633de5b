"""The accuracy benchmark's committed tables are what its committed runs give."""

from __future__ import annotations

import json
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import pytest

from tests.support.scripts import load_script

pytest.importorskip("matplotlib", reason="no matplotlib: pip install matplotlib")

FOLDER = Path(__file__).parents[2] / "benchmarks/accuracy"
# The fields that readers of results.json rely on.
FIELDS = {
    "model",
    "method",
    "pattern",
    "zeros_goal",
    "zeros",
    "seed",
    "epochs",
    "dense_accuracy",
    "float_accuracy",
    "int8_tflm_accuracy",
    "packed_bytes",
    "seconds",
}
RUN_BYTES = 1024


@pytest.fixture(scope="module")
def output(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report made afresh, without TensorFlow."""
    folder = tmp_path_factory.mktemp("report")
    subprocess.run(
        [sys.executable, FOLDER / "run.py", "--report-only", "--output", folder],
        check=True,
        timeout=300,
    )
    return folder


@pytest.fixture(scope="module")
def rows() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((FOLDER / "results.json").read_text())
    return found


@pytest.mark.parametrize("name", ["results.json", "README.md"])
def test_committed_report_is_up_to_date(output: Path, name: str) -> None:
    assert (output / name).read_text() == (FOLDER / name).read_text()


def test_every_figure_can_be_drawn(output: Path, rows: list[dict[str, Any]]) -> None:
    drawn = {path.stem for path in (output / "figures").iterdir()}
    sparse = {row["model"] for row in rows if row["method"] != "dense" and row["dense_accuracy"]}
    assert drawn == sparse
    for name in drawn:
        assert (FOLDER / f"figures/{name}.svg").exists()
        root = ElementTree.parse(output / f"figures/{name}.svg").getroot()
        assert root.tag.endswith("svg")


def test_rows_are_complete_and_plausible(rows: list[dict[str, Any]]) -> None:
    assert rows
    keys = [
        tuple(row[k] for k in ("model", "method", "pattern", "zeros_goal", "seed")) for row in rows
    ]
    assert len(set(keys)) == len(keys)
    for row in rows:
        assert row.keys() >= FIELDS
        assert 0.1 < row["int8_tflm_accuracy"] < 1
        assert row["packed_bytes"] > 0
        if row["method"] == "dense":
            assert row["zeros_goal"] is None
            assert row["zeros"] < 0.01
            assert row["float_accuracy"] == row["dense_accuracy"]
        if row["method"] in ("ours", "tfmot", "l1_threshold"):
            # The methods with a goal reach it: within a block, or TFMOT's rounding per layer.
            assert row["zeros"] == pytest.approx(row["zeros_goal"], abs=2e-3)


def test_runs_are_small_and_sorted() -> None:
    lines = (FOLDER / "runs.jsonl").read_text().splitlines()
    assert max(map(len, lines)) < RUN_BYTES
    names = [json.loads(line)["run"] for line in lines]
    assert names == sorted(set(names))


SAVE = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import settings, store
store.RUNS, store.LOCK = Path(sys.argv[2], "runs.jsonl"), Path(sys.argv[2], "lock")
for setting in list(settings.sweep())[int(sys.argv[3])::2][:20]:
    store.save(setting, {"epochs": 1, "batch_size": 2, "seed": setting.seed})
"""


def test_processes_save_side_by_side(tmp_path: Path) -> None:
    command = [sys.executable, "-c", SAVE, str(FOLDER), str(tmp_path)]
    savers = [subprocess.Popen([*command, half]) for half in "01"]
    assert [saver.wait(timeout=100) for saver in savers] == [0, 0]
    rows = [json.loads(line) for line in (tmp_path / "runs.jsonl").read_text().splitlines()]
    assert len(rows) == 40
    assert [row["run"] for row in rows] == sorted(row["run"] for row in rows)
    assert all(f"-seed{row['seed']}-" in row["run"] for row in rows)


def test_the_front_compares_each_seed_with_its_dense_network() -> None:
    front = load_script("benchmarks/accuracy/front.py")
    rows = [
        {"model": "net", "method": method, "detail": "", "seed": seed} | figures
        for method, seed, figures in (
            ("dense", 0, {"weight_bytes": 800, "accuracy": 80.0}),
            ("dense", 1, {"weight_bytes": 800, "accuracy": 90.0}),
            ("ours", 0, {"weight_bytes": 100, "accuracy": 79.0}),
            ("ours", 1, {"weight_bytes": 200, "accuracy": 92.0}),
        )
    ]
    assert front.points(rows, "net", "ours") == [(6.0, 0.5)]
    committed = [row for path in front.ROWS for row in json.loads(path.read_text())]
    for net in front.NETS:
        assert all(len(front.points(committed, net, method)) > 0 for method in front.STYLES)


@pytest.mark.parametrize(("name", "least"), [("paired", 60), ("instructions_goal", 17)])
def test_tables_of_pairs_are_those_of_their_rows(name: str, least: int) -> None:
    script = f"import {name} as it; print(len(it.load())); print(it.table(it.load()), end='')"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=FOLDER, check=True, capture_output=True, text=True
    )
    count, _, table = done.stdout.partition("\n")
    assert int(count) >= least
    assert table in (FOLDER / "README.md").read_text()
