"""What commands print at several widths, and what they refuse before any work."""

from __future__ import annotations

import importlib.util
import io
import os
import re
import subprocess
import sys
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
from rich.console import Console
from rich.table import Table

import tflm_sparsesep as ts
from tests.support.models.dense_models import single_layer_model, sparse_weights
from tests.support.sparse_network import sparse_network
from tflm_sparsesep.converters.errors import ToolMissingError
from tflm_sparsesep.demo import run_demo
from tflm_sparsesep.planning.table import plan_table
from tflm_sparsesep.report import decisions_table
from tflm_sparsesep.table_layout import print_table

WIDTHS = (40, 60, 80, 120, 200)


def printed(table: Table, width: int) -> list[str]:
    console = Console(width=width, file=io.StringIO(), force_terminal=False)
    print_table(console, table)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().splitlines()


def tables() -> list[Table]:
    dense = single_layer_model(sparse_weights(1024, 2048, 0.9))
    return [
        plan_table(ts.plan(dense)),
        decisions_table(ts.inspect(dense), "cortex-m4"),
        decisions_table(ts.inspect(sparse_network()), "cortex-m4"),
    ]


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("number", range(3))
def test_no_number_is_cut_at_any_width(number: int, width: int) -> None:
    lines = printed(tables()[number], width)
    assert max(map(len, lines)) <= width
    assert not any("…" in line for line in lines)
    wanted = set(re.findall(r"\d[\d,.]{3,}", "\n".join(printed(tables()[number], 400))))
    assert wanted
    assert wanted <= set(re.findall(r"\d[\d,.]{3,}", " ".join(lines)))


@pytest.mark.parametrize("width", WIDTHS)
def test_every_part_of_a_table_names_its_layers(width: int) -> None:
    lines = printed(decisions_table(ts.inspect(sparse_network()), "cortex-m4"), width)
    headings = sum("layer" in line for line in lines if "Layers" not in line)
    assert headings >= 1
    for layer in ts.inspect(sparse_network()):
        assert sum(layer.name in line for line in lines) == headings


def run(*arguments: str | Path, columns: int = 80) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tflm_sparsesep", *map(str, arguments)]
    environment = {**os.environ, "COLUMNS": str(columns)}
    return subprocess.run(command, capture_output=True, text=True, env=environment)


def test_an_input_is_never_overwritten(tmp_path: Path) -> None:
    model = tmp_path / "x.tflite"
    model.write_bytes(single_layer_model(sparse_weights(32, 64, 0.9)))
    before = model.read_bytes()
    for name in ("x.tflite", "./x.tflite"):
        done = run("convert", model, "-o", tmp_path / name)
        assert done.returncode == 2
        assert "x.tflite: is an input of this command, accepted: another file" in done.stderr
    assert model.read_bytes() == before


def test_compress_without_a_budget_names_its_options(tmp_path: Path) -> None:
    (tmp_path / "x.tflite").write_bytes(single_layer_model(sparse_weights(32, 64, 0.0)))
    np.save(tmp_path / "x.npy", np.zeros((4, 64), np.int8))
    done = run(
        "compress", tmp_path / "x.tflite", "-o", tmp_path / "y", "--data", tmp_path / "x.npy"
    )
    assert done.stderr.startswith("error: no budget is given; accepted: at least one of --min-sqnr")
    assert done.returncode == 2


def test_variants_of_a_dense_model_says_why_there_are_none(tmp_path: Path) -> None:
    (tmp_path / "x.tflite").write_bytes(single_layer_model(sparse_weights(32, 64, 0.0)))
    done = run("variants", tmp_path / "x.tflite")
    assert (done.returncode, done.stdout) == (0, "")
    assert "no sparse layers" in done.stderr


def test_help_shows_shapes_and_completion() -> None:
    assert "[n, ...]" in run("run", "--help").stdout
    assert "--install-completion" in run("--help").stdout


def test_the_demo_says_what_to_install(tmp_path: Path) -> None:
    find = importlib.util.find_spec

    def without_keras(name: str, package: str | None = None) -> object:
        return None if name == "keras" else find(name, package)

    with (
        patch.object(importlib.util, "find_spec", without_keras),
        pytest.raises(ToolMissingError, match=r"needs keras: pip install 'tflm-sparsesep\[demo\]'"),
    ):
        run_demo(output_dir=tmp_path / "out", console=Console(file=io.StringIO()))
    assert not (tmp_path / "out").exists()
