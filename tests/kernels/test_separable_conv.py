"""Every separable kernel that this machine can run against TFLite's arithmetic, bit for bit."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from tests.support import native_ops
from tests.support.separable_layers import check_floats, random_shape, reference
from tests.support.sweeps import sweep
from tflm_sparsesep.converters import native
from tflm_sparsesep.converters.blob.pack_separable import SeparableConv, pack
from tflm_sparsesep.converters.blob.separable_format import Order, Padding
from tflm_sparsesep.converters.errors import DeviceError
from tflm_sparsesep.device.synthetic_separable import (
    SeparableShape,
    random_float_separable,
    random_images,
    random_separable,
)

ORDERS = tuple(Order)


def check(conv: SeparableConv, images: npt.NDArray[np.int8], order: Order) -> None:
    blob = pack(conv, order)
    assert native.validate_separable_conv(blob) is None
    outputs = native_ops.separable_conv_2d(blob, images, conv.output_shape(images.shape))
    np.testing.assert_array_equal(outputs, reference(conv, images))


@pytest.mark.sweep
@pytest.mark.parametrize("order", ORDERS)
def test_many_random_layers(order: Order) -> None:
    for rng in sweep(1, 400):
        shape = random_shape(rng)
        check(random_separable(rng, shape), random_images(rng, shape), order)


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("channels", [(3, 16, 24), (20, 10, 50), (64, 32, 64), (1, 33, 7)])
def test_layers_of_real_models(channels: tuple[int, int, int], order: Order) -> None:
    rng = np.random.default_rng(2)
    for kernel, padding in ((5, Padding.VALID), (3, Padding.SAME)):
        shape = SeparableShape(12, 11, channels, (kernel, kernel), (1, 1), (padding, padding))
        check(random_separable(rng, shape), random_images(rng, shape), order)


@pytest.mark.sweep
@pytest.mark.parametrize("order", ORDERS)
def test_accumulator_and_left_shift_wrap(order: Order) -> None:
    for rng in sweep(3, 100):
        shape = random_shape(rng)
        check(random_separable(rng, shape, extreme=True), random_images(rng, shape), order)


@pytest.mark.sweep
@pytest.mark.parametrize("order", ORDERS)
def test_the_build_that_rounds_once(order: Order) -> None:
    for number, rng in enumerate(sweep(8, 100)):
        shape = random_shape(rng)
        conv = random_separable(rng, shape, extreme=number % 10 == 9)
        images = random_images(rng, shape)
        outputs = native_ops.separable_conv_2d(
            pack(conv, order), images, conv.output_shape(images.shape), rounding="single"
        )
        np.testing.assert_array_equal(outputs, reference(conv, images, rounding="single"))


@pytest.mark.parametrize("order", ORDERS)
def test_activations_at_their_limits(order: Order) -> None:
    rng = np.random.default_rng(4)
    for value in (-128, 127):
        shape = random_shape(rng, channels=30)
        check(random_separable(rng, shape), np.full(shape.input_shape, value, np.int8), order)


@pytest.mark.sweep
def test_float32() -> None:
    for rng in sweep(5, 100):
        shape = random_shape(rng)
        conv = random_float_separable(rng, shape)
        images = rng.normal(0, 1, shape.input_shape).astype(np.float32)
        outputs = native_ops.separable_conv_2d(pack(conv), images, conv.output_shape(images.shape))
        check_floats(conv, images, outputs)


SHAPE = SeparableShape(6, 7, (3, 4, 5), (3, 3))


@pytest.mark.parametrize(
    ("input_shape", "output_shape"),
    [
        ((1, 6, 7, 4), (1, 6, 7, 5)),
        ((1, 6, 7, 3), (1, 6, 7, 6)),
        ((1, 6, 7, 3), (2, 6, 7, 5)),
        ((1, 6, 7, 3), (1, 7, 6, 5)),
        ((1, 0, 7, 3), (1, 0, 7, 5)),
    ],
)
def test_tensors_that_do_not_fit_are_refused(
    input_shape: tuple[int, ...], output_shape: tuple[int, ...]
) -> None:
    blob = pack(random_separable(np.random.default_rng(6), SHAPE))
    with pytest.raises(DeviceError, match="SEPARABLE_CONV_2D refused: tensor"):
        native_ops.separable_conv_2d(blob, np.zeros(input_shape, np.int8), output_shape)


def test_tensors_of_another_type_are_refused() -> None:
    blob = pack(random_separable(np.random.default_rng(6), SHAPE))
    with pytest.raises(DeviceError, match="refused: tensor"):
        native_ops.separable_conv_2d(blob, np.zeros(SHAPE.input_shape, np.float32), (1, 6, 7, 5))


def test_an_image_smaller_than_the_kernel_is_refused_where_nothing_is_padded() -> None:
    shape = SeparableShape(6, 7, (3, 4, 5), (3, 3), padding=(Padding.VALID, Padding.VALID))
    blob = pack(random_separable(np.random.default_rng(6), shape))
    with pytest.raises(DeviceError, match="refused: tensor"):
        native_ops.separable_conv_2d(blob, np.zeros((1, 2, 7, 3), np.int8), (1, 1, 5, 5))
