"""Keras layers as the device runs them."""

from __future__ import annotations

from typing import Any

import keras
import pytest

from tflm_sparsesep.converters.cost.cost import Cost
from tflm_sparsesep.converters.cost.shapes import MatrixShape
from tflm_sparsesep.training.device_layer import DeviceLayer

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("tensorflow")]

layers = keras.layers


def described(layer: Any, *shape: int) -> DeviceLayer:
    layer(keras.Input(shape))
    return DeviceLayer.of(layer)


@pytest.mark.parametrize(
    ("layer", "inputs", "shape"),
    [
        (lambda: layers.Dense(3), (12,), MatrixShape(3, 12, 1, 0, 12)),
        (lambda: layers.Dense(3, use_bias=False), (5, 12), MatrixShape(3, 12, 5)),
        (lambda: layers.Conv2D(8, 1), (6, 7, 4), MatrixShape(8, 4, 42, 1, 32)),
        (lambda: layers.Conv1D(8, 5), (40, 4), MatrixShape(8, 20, 36, 5, 32)),
        (lambda: layers.Conv1D(8, 4, strides=2), (40, 4), MatrixShape(8, 16, 19, 4, 32)),
        (lambda: layers.Conv2D(8, (1, 5)), (1, 40, 4), MatrixShape(8, 20, 36, 5, 32)),
    ],
)
def test_matrices(layer: Any, inputs: tuple[int, ...], shape: MatrixShape) -> None:
    device = described(layer(), *inputs)
    assert device == DeviceLayer(shape, has_kernel=True)
    for target in ("cortex-m0", "cortex-m4"):
        assert device.dense(target) == shape.dense(target)


@pytest.mark.parametrize(
    ("layer", "inputs", "dense_bytes"),
    [
        (lambda: layers.Conv2D(8, 3), (6, 6, 4), 9 * 4 * 8 + 32),
        (lambda: layers.Conv1D(8, 3, padding="same"), (40, 4), 3 * 4 * 8 + 32),
        (lambda: layers.Conv1D(8, 3, dilation_rate=2), (40, 4), 3 * 4 * 8 + 32),
        (lambda: layers.Conv1D(8, 3), (None, 4), 3 * 4 * 8 + 32),
        (lambda: layers.Conv2D(8, 1, groups=2), (6, 6, 4), 2 * 8 + 32),
        (lambda: layers.DepthwiseConv2D(3, depth_multiplier=2), (6, 6, 4), 9 * 4 * 2 + 32),
        (lambda: layers.Dense(2, use_bias=False), (70_000,), 140_000),
    ],
)
def test_layers_without_a_sparse_kernel(
    layer: Any, inputs: tuple[int, ...], dense_bytes: int
) -> None:
    device = described(layer(), *inputs)
    assert not device.has_kernel
    assert device.dense("cortex-m4") == Cost(dense_bytes, 0)
