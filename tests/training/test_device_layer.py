"""Keras layers as the device runs them."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

import tflm_sparsesep as ts
from tflm_sparsesep.converters.blob.separable_format import Padding
from tflm_sparsesep.converters.cost.cost import Cost
from tflm_sparsesep.converters.cost.shapes import ConvShape, MatrixShape, parameter_bytes
from tflm_sparsesep.quantize import quantize
from tflm_sparsesep.training.device_layer import DeviceLayer

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("tensorflow")]

CORES = ("cortex-m0", "cortex-m4", "cortex-m55")
layers = keras.layers
# Of eight outputs, with and without a bias.
EIGHT, UNBIASED = parameter_bytes(8), parameter_bytes(8, has_bias=False)


def described(layer: Any, *shape: int) -> DeviceLayer:
    layer(keras.Input(shape))
    return DeviceLayer.of(layer)


@pytest.mark.parametrize(
    ("layer", "inputs", "shape"),
    [
        (lambda: layers.Dense(3), (12,), MatrixShape(3, 12, 1, 0, parameter_bytes(3))),
        (
            lambda: layers.Dense(3, use_bias=False),
            (5, 12),
            MatrixShape(3, 12, 5, 0, parameter_bytes(3, has_bias=False), rank=3),
        ),
        (lambda: layers.Conv2D(8, 1), (6, 7, 4), MatrixShape(8, 4, 42, 1, EIGHT)),
        (lambda: layers.Conv1D(8, 5), (40, 4), MatrixShape(8, 20, 36, 5, EIGHT)),
        (lambda: layers.Conv1D(8, 4, strides=2), (40, 4), MatrixShape(8, 16, 19, 4, EIGHT)),
        (lambda: layers.Conv2D(8, (1, 5)), (1, 40, 4), MatrixShape(8, 20, 36, 5, EIGHT)),
    ],
)
def test_matrices(layer: Any, inputs: tuple[int, ...], shape: MatrixShape) -> None:
    device = described(layer(), *inputs)
    assert device == DeviceLayer(shape, has_kernel=True)
    for target in ("cortex-m0", "cortex-m4"):
        assert device.dense(target) == shape.dense(target)


@pytest.mark.parametrize(
    ("layer", "inputs", "shape"),
    [
        (
            lambda: layers.Conv2D(8, 3, strides=2, padding="same"),
            (7, 6, 4),
            ConvShape((8, 3, 3, 4), (1, 7, 6, 4), (1, 4, 3, 8), (2, 2), Padding.SAME, EIGHT),
        ),
        (
            lambda: layers.Conv2D(8, (3, 2), dilation_rate=(1, 2), use_bias=False),
            (6, 6, 4),
            ConvShape(
                (8, 3, 2, 4), (1, 6, 6, 4), (1, 4, 4, 8), (1, 1), Padding.VALID, UNBIASED, (1, 2)
            ),
        ),
        (
            lambda: layers.Conv2D(8, 1, strides=2),
            (6, 6, 4),
            ConvShape((8, 1, 1, 4), (1, 6, 6, 4), (1, 3, 3, 8), (2, 2), Padding.VALID, EIGHT),
        ),
        (
            lambda: layers.Conv1D(8, 3, padding="same"),
            (40, 4),
            ConvShape((8, 1, 3, 4), (1, 1, 40, 4), (1, 1, 40, 8), (1, 1), Padding.SAME, EIGHT),
        ),
    ],
)
def test_convolutions_over_windows_in_several_pieces(
    layer: Any, inputs: tuple[int, ...], shape: ConvShape
) -> None:
    built = layer()
    assert described(built, *inputs) == DeviceLayer(shape, has_kernel=True)
    for target in ("cortex-m0", "cortex-m55", "host"):
        assert DeviceLayer.of(built).dense(target) == shape.dense(target)


def test_the_matrix_of_a_convolution_is_the_packers() -> None:
    layer = layers.Conv2D(8, (3, 2))
    kernel = np.random.default_rng(0).normal(size=(3, 2, 4, 8)).astype(np.float32)
    found = described(layer, 6, 6, 4).matrix(kernel)
    for output, down, right, channel in [(0, 0, 1, 2), (5, 2, 0, 3), (7, 1, 1, 0)]:
        column = (right * 3 + down) * 4 + channel
        assert found[output, column] == kernel[down, right, channel, output]
    along = described(layers.Conv1D(8, 3), 40, 4).matrix(kernel[:, 0])
    assert along[5, 2 * 4 + 1] == kernel[2, 0, 1, 5]


@pytest.mark.parametrize(
    ("layer", "inputs", "dense_bytes"),
    [
        (lambda: layers.Conv1D(8, 3), (None, 4), 3 * 4 * 8 + 8 * 28),
        (lambda: layers.Conv2D(8, 3), (None, 6, 4), 9 * 4 * 8 + 8 * 28),
        (lambda: layers.Conv1D(8, 3, padding="causal"), (40, 4), 3 * 4 * 8 + 8 * 28),
        (lambda: layers.Conv2D(2, (1, 300), padding="same"), (1, 400, 1), 2 * 300 + 2 * 28),
        (lambda: layers.Conv2D(2, 200), (200, 200, 2), 2 * 80_000 + 2 * 28),
        (lambda: layers.Conv2D(8, 1, groups=2), (6, 6, 4), 2 * 8 + 8 * 28),
        (lambda: layers.DepthwiseConv2D(3), (None, 6, 4), 9 * 4 + 4 * 28),
        (lambda: layers.Dense(2, use_bias=False), (70_000,), 140_000 + 2 * 12),
    ],
)
def test_layers_without_a_sparse_kernel(
    layer: Any, inputs: tuple[int, ...], dense_bytes: int
) -> None:
    device = described(layer(), *inputs)
    assert not device.has_kernel
    assert device.dense("cortex-m4") == Cost(dense_bytes, 0)


@pytest.mark.parametrize(
    ("layer", "inputs", "targets"),
    [
        (lambda: layers.DepthwiseConv2D(3, padding="same"), (12, 10, 16), CORES),
        (lambda: layers.DepthwiseConv2D(3, strides=2, depth_multiplier=2), (11, 10, 8), CORES),
        (lambda: layers.DepthwiseConv2D((1, 5), dilation_rate=(1, 2)), (8, 20, 12), CORES),
        # On other cores the converter packs all weights as a sparse convolution.
        (lambda: layers.Conv2D(8, (10, 4), strides=2, padding="same"), (25, 10, 1), CORES[1:2]),
    ],
)
def test_depthwise_layers_cost_what_the_converter_makes_of_them(
    layer: Any, inputs: tuple[int, ...], targets: tuple[str, ...]
) -> None:
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input(inputs), layer()])
    int8 = quantize(model, np.random.default_rng(0).normal(size=(50, *inputs)).astype(np.float32))
    device = DeviceLayer.of(model.layers[0])
    for target in targets:
        (decision,) = ts.convert(int8, target=target).layers
        found = decision.packed_bytes, decision.sparse_instructions
        if not decision.rewritten:
            found = decision.dense_bytes, decision.dense_instructions
        assert device.dense(target) == Cost(*(number or 0 for number in found))
