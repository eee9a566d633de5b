"""The pattern that `pattern="auto"` chooses for single layers."""

from __future__ import annotations

import pytest

from tflm_sparsesep.converters.blob.separable_format import Padding
from tflm_sparsesep.converters.cost.shapes import ConvShape, MatrixShape
from tflm_sparsesep.training.auto_pattern import choose_pattern
from tflm_sparsesep.training.device_layer import DeviceLayer

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
    layer = DeviceLayer(MatrixShape(rows, cols), has_kernel=True)
    assert choose_pattern(layer, zeros, target) == expected


@pytest.mark.parametrize(("units", "channels", "expected"), [(64, 64, "4x1"), (3, 6, "1x1")])
def test_blocks_of_a_convolution_do_not_straddle_taps(
    units: int, channels: int, expected: str
) -> None:
    image, pixels = (1, 8, 8, channels), (1, 8, 8, units)
    shape = ConvShape((units, 5, 5, channels), image, pixels, (1, 1), Padding.SAME)
    assert choose_pattern(DeviceLayer(shape, has_kernel=True), 0.75, "cortex-m3") == expected
