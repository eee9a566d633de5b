"""The pattern that `pattern="auto"` chooses for single layers."""

from __future__ import annotations

import pytest

from tflm_sparsesep.training.auto_pattern import choose_pattern

# TensorFlow costs 8 s to import.
pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("tensorflow")]


@pytest.mark.parametrize("target", ["cortex-m0", "cortex-m4", "cortex-m55"])
@pytest.mark.parametrize(
    ("rows", "cols", "zeros", "expected"),
    [
        (300, 784, 0.95, "4x1"),
        # Five inputs per output are left: too few for blocks.
        (10, 100, 0.95, "1x1"),
        # Fewer outputs than a block of 4x1 has.
        (3, 2000, 0.9, "1x4"),
    ],
    ids=str,
)
def test_blocks_are_chosen_if_outputs_keep_enough_inputs(
    rows: int, cols: int, zeros: float, expected: str, target: str
) -> None:
    assert choose_pattern(rows, cols, zeros, target) == expected
