"""The cost model of target `host` against independently measured times."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.models.dense_models import float_fully_connected_model, fully_connected_model
from tflm_sparsesep.converters.blob.format import IndexEncoding, Layout, ValueType
from tflm_sparsesep.converters.blob.layouts import LAYOUTS
from tflm_sparsesep.converters.blob.separable_format import Padding
from tflm_sparsesep.converters.cost import fully_connected
from tflm_sparsesep.converters.cost.break_even import break_even_zeros, sparse_form
from tflm_sparsesep.converters.cost.data import load
from tflm_sparsesep.converters.cost.shapes import ConvShape, MatrixShape
from tflm_sparsesep.converters.rewrite import rewrite

RESULTS = Path(__file__).parents[3] / "benchmarks/mobile/results.json"
# The layers of benchmarks/mobile.
BENCHMARKED: tuple[MatrixShape | ConvShape, ...] = (
    MatrixShape(4096, 4096),
    MatrixShape(1000, 1024),
    MatrixShape(512, 512, 196, taps=1),
    ConvShape((64, 3, 3, 64), (1, 28, 28, 64), (1, 28, 28, 64), (1, 1), Padding.SAME),
)
# Two runs on a shared machine differ by up to this fraction.
NOISE = 0.1
BLOCKS = Layout(IndexEncoding.DELTA8, 4, 4, count_multiple=1)


def measured_ratios() -> list[tuple[MatrixShape | ConvShape, str, float, float]]:
    """Layers, patterns, zeros, and dense int8 time over that of the CPU backend."""
    (layers,) = (
        run["layers"]
        for run in json.loads(RESULTS.read_text())["runs"]
        if run["threads"] == load("host_litert.json")["threads"]
    )
    found = []
    for shape, layer in zip(BENCHMARKED, layers, strict=True):
        for run in layer["sparse"]:
            for name, ms in run["ms"].items():
                pattern, dtype, backend = name.replace(",", "").split()
                if (dtype, backend) == ("int8", "cpu"):
                    ratio = layer["dense_ms"]["int8"] / ms
                    found.append((shape, pattern, run["zeros"], ratio))
    return found


def predicted_ratio(layer: MatrixShape | ConvShape, pattern: str, zeros: float) -> float:
    sparse = sparse_form(layer, "host", pattern, zeros)
    assert sparse is not None
    return layer.dense("host").instructions / sparse.instructions


def test_sparse_is_never_predicted_to_win_where_dense_was_measured_to() -> None:
    rows = measured_ratios()
    assert len(rows) == 4 * 5 * 6
    lost = [row for row in rows if row[3] < 1 - NOISE]
    assert len(lost) > 20
    assert [(*row, r) for row in lost if (r := predicted_ratio(*row[:3])) >= 1] == []


def test_what_wins_clearly_is_predicted_to() -> None:
    # The model keeps a margin for its own errors.
    won = [row for row in measured_ratios() if row[3] > 2]
    assert len(won) > 5
    assert [(*row, r) for row in won if (r := predicted_ratio(*row[:3])) <= 1] == []


def test_errors_outside_the_fit_are_known_and_bounded() -> None:
    data = load("host_litert.json")
    fits: dict[str, dict[str, Any]] = data["dense"] | data["sparse"]
    errors = {kind: fit["held_out_error"] for kind, fit in fits.items()}
    assert {kind: error for kind, error in errors.items() if not 0 < error <= 0.3} == {}


def test_layouts_that_nobody_would_choose_on_a_host_are_not_measured() -> None:
    assert fully_connected.is_measured("host", BLOCKS)
    for layout in LAYOUTS:
        if layout.index_encoding is IndexEncoding.GAP4 or layout.value_type is ValueType.PALETTE4:
            assert not fully_connected.is_measured("host", layout)


def test_sparse_costs_are_upper_estimates() -> None:
    data = load("host_litert.json")
    fit = data["sparse"][str(BLOCKS)]
    layer = MatrixShape(1024, 1024)
    sparse = sparse_form(layer, "host", "4x4", 0.9)
    assert sparse is not None
    blocks = round(1024 * 1024 / 16 * 0.1)
    terms = {
        "per_call": 1,
        "per_row": 1024,
        "per_col": 1024,
        "per_group": 256,
        "per_block": blocks,
    }
    expected = sum(fit["nanoseconds"].get(name, 0) * term for name, term in terms.items())
    margin = (1 + fit["held_out_error"]) * (1 + data["dense"]["int8"]["held_out_error"])
    # Steps over more than 255 tiles may add a block or two.
    assert sparse.instructions == pytest.approx(margin * expected, rel=1e-3)


def test_blocks_break_even_before_single_weights() -> None:
    layer = MatrixShape(1024, 1024)
    block = break_even_zeros(layer, "host", "4x4")
    assert block is not None
    assert block.zeros is not None
    single = break_even_zeros(layer, "host", "1x1")
    if single is not None:
        assert single.zeros is not None
        assert single.zeros > block.zeros + 0.1


def dense_model(zeros: float, pattern: tuple[int, int], dtype: str) -> bytes:
    rng = np.random.default_rng(0)
    grid = (1024 // pattern[0], 1024 // pattern[1])
    mask = (rng.random(grid) >= zeros).repeat(pattern[0], 0).repeat(pattern[1], 1)
    weights = rng.integers(1, 128, mask.shape) * mask
    if dtype == "float32":
        return float_fully_connected_model(weights.astype(np.float32), None, input_shape=(1, 1024))
    return fully_connected_model(
        weights.astype(np.int8),
        None,
        input_shape=(1, 1024),
        input_scale=0.1,
        input_zero_point=0,
        weight_scales=0.01,
        output_scale=5.0,
        output_zero_point=0,
    )


@pytest.mark.parametrize(
    ("zeros", "pattern", "dtype", "is_sparse"),
    [
        (0.95, (4, 4), "int8", True),
        (0.8, (1, 1), "int8", False),
        (0.5, (4, 4), "int8", False),
        (0.97, (1, 1), "float32", True),
        (0.7, (1, 1), "float32", False),
    ],
)
def test_the_converter_decides_by_it(
    zeros: float, pattern: tuple[int, int], dtype: str, is_sparse: bool
) -> None:
    (decision,) = rewrite(dense_model(zeros, pattern, dtype), target="host").layers
    assert decision.rewritten == is_sparse
    if not is_sparse:
        assert " ns on host, dense takes " in decision.reason


def test_many_vectors_cost_more_than_one() -> None:
    one, many = (MatrixShape(512, 512, n, taps=1) for n in (1, 196))
    assert many.dense("host").instructions > 20 * one.dense("host").instructions
    # Together, vectors take less in blocks, and not in single weights.
    dense = many.dense("host").instructions
    singles, blocks = (sparse_form(many, "host", pattern, 0.8) for pattern in ("1x1", "4x4"))
    assert singles is not None
    assert blocks is not None
    assert singles.instructions > dense > 1.5 * blocks.instructions
