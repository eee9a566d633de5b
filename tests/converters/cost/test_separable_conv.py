"""The cost of separable convolutions on shapes; tests/device compares it with QEMU."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from tflm_sparsesep.converters.blob.separable_format import Order
from tflm_sparsesep.converters.cost import separable_conv
from tflm_sparsesep.converters.targets import TARGETS
from tflm_sparsesep.device.synthetic_separable import SeparableShape, random_separable

SMALL = SeparableShape(12, 12, (8, 12, 16), (3, 3))
LARGER = [
    dataclasses.replace(SMALL, height=14),
    dataclasses.replace(SMALL, width=14),
    dataclasses.replace(SMALL, channels=(12, 12, 16)),
    dataclasses.replace(SMALL, channels=(8, 16, 16)),
    dataclasses.replace(SMALL, channels=(8, 12, 20)),
    dataclasses.replace(SMALL, kernel=(5, 3)),
]


def cost(target: str, shape: SeparableShape) -> tuple[int, int]:
    """Return the fused instructions in natural order, and those of the dense pair."""
    conv = random_separable(np.random.default_rng(0), shape)
    fused = separable_conv.fused_instructions(target, conv, Order.NATURAL, shape.input_shape)
    return fused, separable_conv.dense_instructions(target, conv, shape.input_shape)


@pytest.mark.parametrize("target", TARGETS)
def test_more_of_everything_costs_more(target: str) -> None:
    fused, dense = cost(target, SMALL)
    for shape in LARGER:
        more_fused, more_dense = cost(target, shape)
        assert more_fused > fused, shape
        assert more_dense > dense, shape


def test_interleaved_weights_are_for_the_dsp_extension() -> None:
    measured = [name for name in TARGETS if separable_conv.is_measured(name, Order.WOVEN)]
    assert measured == ["cortex-m4", "cortex-m7", "cortex-m33", "host"]
    assert all(separable_conv.is_measured(name, Order.NATURAL) for name in TARGETS)


def test_scratch_holds_one_row_of_the_intermediate_feature_map() -> None:
    conv = random_separable(np.random.default_rng(0), SMALL)
    row = 14 * 12  # columns with their padding, intermediate channels
    for target in TARGETS:
        found = separable_conv.scratch_bytes(target, conv, Order.NATURAL, SMALL.input_shape)
        assert found >= row, target
