"""SPARSE_CONV_2D with a residual on this machine against TFLite's arithmetic, bit for bit."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from tests.support import native_ops
from tests.support.native_ops import Rounding
from tests.support.residuals import COMMON_SHIFTS, random_residual, sums
from tests.support.sparse_convs import ConvCase, random_conv
from tests.support.sweeps import sweep
from tflm_sparsesep.converters import native
from tflm_sparsesep.converters.blob.layouts import LAYOUTS
from tflm_sparsesep.converters.blob.pack_sparse_conv import ConvWindow, Residual, with_residual
from tflm_sparsesep.converters.errors import DeviceError

LAYOUT = LAYOUTS[0]


def check(conv: ConvCase, residual: Residual, other: np.ndarray, rounding: Rounding) -> None:
    shape = conv.output_shape
    alone = native_ops.sparse_conv_2d(conv.blob(LAYOUT), conv.images, shape, rounding=rounding)
    blob = with_residual(conv.blob(LAYOUT), residual)
    assert native.validate_sparse_conv(blob) is None
    run = native_ops.sparse_conv_2d(blob, conv.images, shape, residual=other, rounding=rounding)
    zero_point = conv.case.options.output_zero_point
    expected = sums(residual, alone.outputs, zero_point, other, rounding=rounding)
    np.testing.assert_array_equal(run.outputs, expected)
    assert run.scratch_bytes == max(alone.scratch_bytes, 1024)


@pytest.mark.parametrize("rounding", ["double", "single"])
# The last shift that leaves room for the zero point is 22.
@pytest.mark.parametrize("shifts", [COMMON_SHIFTS, (1, 3), (21, 24), (30, 31)])
def test_random_sums(shifts: tuple[int, int], rounding: Rounding) -> None:
    for rng in sweep(1, 60):
        conv = random_conv(rng, LAYOUT)
        other = rng.integers(-128, 128, conv.output_shape).astype(np.int8)
        check(conv, random_residual(rng, shifts=shifts), other, rounding)


@pytest.mark.parametrize("narrow", ["other", "output"])
def test_every_pair_of_values(narrow: str) -> None:
    # 1x1 weights of 1 and a scale of 1 pass the image on.
    rng = np.random.default_rng(2)
    conv = random_conv(rng, LAYOUT, window=ConvWindow((1, 1), 1, (2, 2)), units=1, size=(511, 511))
    case = conv.case
    layer = dataclasses.replace(
        case.layer,
        weights=np.ones((1, 1), np.int8),
        bias=np.zeros(1, np.int32),
        multiplier=np.full(1, 1 << 30, np.int32),
        shift=np.ones(1, np.int8),
    )
    options = dataclasses.replace(
        case.options,
        input_zero_point=0,
        output_zero_point=0,
        activation_min=-128,
        activation_max=127,
    )
    values = np.arange(-128, 128).astype(np.int8)
    images = np.zeros((1, 511, 511, 1), np.int8)
    images[0, ::2, ::2, 0] = values
    identity = ConvCase(
        conv.window, dataclasses.replace(case, layer=layer, options=options), images
    )
    other = np.repeat(values, 256).reshape(1, 256, 256, 1)
    for rng in sweep(3, 6):
        residual = dataclasses.replace(random_residual(rng), narrow=narrow)
        check(identity, residual, other, "double")


def test_a_second_input_of_another_shape_or_type_is_refused() -> None:
    rng = np.random.default_rng(4)
    conv = random_conv(rng, LAYOUT, window=ConvWindow((3, 3), 4), size=(5, 5))
    blob = with_residual(conv.blob(LAYOUT), random_residual(rng))
    shape = conv.output_shape
    wrong: list[np.ndarray | None] = [
        None,
        np.zeros((*shape[:3], shape[3] + 1), np.int8),
        np.zeros(shape[1:], np.int8),
        np.zeros(shape, np.float32),
    ]
    for other in wrong:
        with pytest.raises(DeviceError, match="SPARSE_CONV_2D refused: tensors do not fit"):
            native_ops.sparse_conv_2d(blob, conv.images, shape, residual=other)
