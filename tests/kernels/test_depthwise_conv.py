"""Depthwise convolutions on this machine against TFLite's arithmetic, bit for bit."""

from __future__ import annotations

import numpy as np
import pytest

from tests.support import native_ops
from tests.support.depthwise_layers import (
    REAL,
    BlockCase,
    DepthwiseCase,
    as_dense,
    block_outputs,
    outputs_of,
    random_block,
    random_case,
    real_case,
)
from tests.support.sweeps import sweep
from tflm_sparsesep.converters import native
from tflm_sparsesep.converters.blob.depthwise_format import HEADER
from tflm_sparsesep.converters.blob.format import Layout, ValueType
from tflm_sparsesep.converters.blob.layouts import LAYOUTS
from tflm_sparsesep.converters.blob.pack import pack
from tflm_sparsesep.converters.blob.pack_depthwise import pack_depthwise
from tflm_sparsesep.converters.blob.pack_sparse_conv import ConvWindow
from tflm_sparsesep.converters.blob.separable_format import Padding
from tflm_sparsesep.converters.errors import DeviceError
from tflm_sparsesep.device.synthetic_depthwise import random_depthwise


def check(case: DepthwiseCase) -> None:
    blob = pack_depthwise(case.layer)
    assert native.validate_separable_conv(blob) is None
    outputs = native_ops.separable_conv_2d(blob, case.images, case.output_shape)
    np.testing.assert_array_equal(outputs, outputs_of(case.layer, case.images))


def test_random_layers() -> None:
    rng = np.random.default_rng(1)
    for _ in range(300):
        check(random_case(rng))


@pytest.mark.sweep
def test_many_random_layers() -> None:
    for rng in sweep(2, 250):
        check(random_case(rng))


@pytest.mark.parametrize(("window", "multiplier", "image"), REAL)
def test_layers_of_real_models(window: ConvWindow, multiplier: int, image: tuple[int, int]) -> None:
    check(real_case(np.random.default_rng(3), window, multiplier, image))


def test_accumulator_and_left_shift_wrap() -> None:
    rng = np.random.default_rng(4)
    for _ in range(60):
        check(random_case(rng, extreme=True))


def test_the_build_that_rounds_once() -> None:
    rng, layout = np.random.default_rng(5), LAYOUTS[0]
    for _ in range(100):
        case = random_case(rng, most=8)
        dense = as_dense(case.layer, case.images)
        wanted = native_ops.sparse_fully_connected(
            dense.options.to_bytes(),
            pack(dense.layer, layout),
            dense.inputs,
            case.layer.units,
            rounding="single",
        )
        found = native_ops.separable_conv_2d(
            pack_depthwise(case.layer), case.images, case.output_shape, rounding="single"
        )
        np.testing.assert_array_equal(found.reshape(wanted.shape), wanted)


INT8_LAYOUTS = [x for x in LAYOUTS if x.value_type is not ValueType.FLOAT32]


def check_block(block: BlockCase) -> None:
    assert native.validate_separable_conv(block.blob) is None
    images = block.depthwise.images
    outputs = native_ops.separable_conv_2d(block.blob, images, block.output_shape)
    np.testing.assert_array_equal(outputs, block_outputs(block, images))


@pytest.mark.parametrize("layout", INT8_LAYOUTS, ids=str)
def test_random_blocks(layout: Layout) -> None:
    rng = np.random.default_rng(6)
    for _ in range(30):
        check_block(random_block(rng, layout))


@pytest.mark.sweep
@pytest.mark.parametrize("layout", INT8_LAYOUTS, ids=str)
def test_many_random_blocks(layout: Layout) -> None:
    for rng in sweep(7, 20):
        check_block(random_block(rng, layout))


@pytest.mark.parametrize("layout", INT8_LAYOUTS, ids=str)
def test_blocks_of_the_build_that_rounds_once(layout: Layout) -> None:
    """Equal its two operators, one after the other."""
    rng = np.random.default_rng(11)
    for _ in range(5):
        block = random_block(rng, layout)
        case, pointwise = block.depthwise, block.pointwise
        middle = native_ops.separable_conv_2d(
            pack_depthwise(case.layer), case.images, case.output_shape, rounding="single"
        )
        wanted = native_ops.sparse_fully_connected(
            pointwise.options.to_bytes(),
            pack(pointwise.weights, layout),
            middle.reshape(-1, case.layer.units),
            block.output_shape[3],
            rounding="single",
        )
        found = native_ops.separable_conv_2d(
            block.blob, case.images, block.output_shape, rounding="single"
        )
        np.testing.assert_array_equal(found.reshape(wanted.shape), wanted)


def test_a_block_of_other_channels_is_refused() -> None:
    blob = bytearray(random_block(np.random.default_rng(10), LAYOUTS[0]).blob)
    header = np.frombuffer(blob, HEADER, 1)
    header["multiplier"] = 1
    header["channels"] = 1
    assert "illegal" in (native.validate_separable_conv(bytes(blob)) or "")


def test_a_block_with_another_zero_point_between_is_refused() -> None:
    blob = bytearray(random_block(np.random.default_rng(10), LAYOUTS[0]).blob)
    np.frombuffer(blob, HEADER, 1)["output_zero_point"] ^= 1
    assert native.validate_separable_conv(bytes(blob)) is not None


@pytest.mark.parametrize(
    ("inputs", "outputs"),
    [
        ((1, 8, 8, 5), (1, 8, 8, 4)),  # channels
        ((1, 8, 8, 4), (1, 8, 7, 4)),  # outputs
        ((1, 8, 8, 4), (2, 8, 8, 4)),  # batch
        ((1, 8, 8, 4), (1, 8, 8, 8)),  # units
    ],
)
def test_tensors_that_do_not_fit_are_refused(
    inputs: tuple[int, ...], outputs: tuple[int, ...]
) -> None:
    layer = random_depthwise(np.random.default_rng(8), ConvWindow((3, 3), 4))
    with pytest.raises(DeviceError, match="SEPARABLE_CONV_2D refused: tensors do not fit"):
        native_ops.separable_conv_2d(pack_depthwise(layer), np.zeros(inputs, np.int8), outputs)


def test_an_image_below_a_valid_window_is_refused() -> None:
    window = ConvWindow((5, 5), 2, padding=Padding.VALID)
    blob = pack_depthwise(random_depthwise(np.random.default_rng(9), window))
    with pytest.raises(DeviceError, match="tensors do not fit"):
        native_ops.separable_conv_2d(blob, np.zeros((1, 4, 6, 2), np.int8), (1, 1, 2, 2))
