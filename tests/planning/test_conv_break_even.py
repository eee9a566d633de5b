"""The table of break-even zeros in docs/sparse_conv.md is what `plan` computes."""

from __future__ import annotations

from pathlib import Path

import pytest

from tflm_sparsesep.converters.blob.separable_format import Padding
from tflm_sparsesep.converters.cost.break_even import break_even_zeros
from tflm_sparsesep.converters.cost.shapes import (
    ConvShape,
    MatrixShape,
    SparseShape,
    parameter_bytes,
)

PAGE = Path(__file__).parents[2] / "docs/sparse_conv.md"
TARGETS = ("cortex-m0", "cortex-m3", "cortex-m4", "cortex-m55")


def convolution(
    kernel: int, channels: int, units: int, size: int, padding: Padding = Padding.SAME
) -> ConvShape:
    outputs = size if padding is Padding.SAME else size - kernel + 1
    return ConvShape(
        weights=(units, kernel, kernel, channels),
        inputs=(1, size, size, channels),
        outputs=(1, outputs, outputs, units),
        strides=(1, 1),
        padding=padding,
        parameter_bytes=parameter_bytes(units),
    )


LAYERS: dict[str, SparseShape] = {
    "3x3 64->64 on 8x8": convolution(3, 64, 64, 8),
    "3x3 16->16 on 16x16": convolution(3, 16, 16, 16),
    "5x5 20->50 VALID on 12x12": convolution(5, 20, 50, 12, Padding.VALID),
    "1x1 64->64 on 12x12": MatrixShape(64, 64, 144, 1, parameter_bytes(64)),
}


def cell(layer: SparseShape, target: str) -> str:
    forms = [break_even_zeros(layer, target, pattern) for pattern in ("1x1", "4x4")]
    return " / ".join("never" if form is None else f"{form.zeros:.1%}" for form in forms)


@pytest.mark.parametrize("name", LAYERS)
def test_the_table_is_of_plan(name: str) -> None:
    cells = [cell(LAYERS[name], target) for target in TARGETS]
    assert f"| {name} | {' | '.join(cells)} |" in PAGE.read_text().splitlines()


@pytest.mark.parametrize(("pattern", "most"), [("1x1", 0.35), ("4x4", 0.05)])
def test_most_zeros_that_m4_needs(pattern: str, most: float) -> None:
    form = break_even_zeros(LAYERS["3x3 64->64 on 8x8"], "cortex-m4", pattern)
    assert form is not None
    assert form.zeros is not None
    assert form.zeros <= most
