"""SPARSE_CONV_2D on this machine in every layout against TFLite's arithmetic, bit for bit."""

from __future__ import annotations

import platform

import numpy as np
import pytest

from tests.support import native_ops
from tests.support.layers import check_outputs
from tests.support.sparse_convs import ConvCase, random_conv
from tests.support.sweeps import sweep
from tflm_sparsesep.converters import native
from tflm_sparsesep.converters.blob.format import Layout, ValueType
from tflm_sparsesep.converters.blob.layouts import LAYOUTS, layouts_for
from tflm_sparsesep.converters.blob.pack_sparse_conv import ConvWindow
from tflm_sparsesep.converters.blob.separable_format import Padding
from tflm_sparsesep.converters.cost.conv_strip import Strip
from tflm_sparsesep.converters.cost.sparse_conv import strip_of
from tflm_sparsesep.converters.errors import DeviceError
from tflm_sparsesep.converters.targets import TARGETS

# At once: see kernels/sparse_conv/strip.h.
PIXELS = 32 if platform.machine() in ("x86_64", "aarch64") else 16

# Scratch whatever the pixels: accumulators of a portion of rows or a padded vector of floats, and,
# with the DSP extension, pairs of a palette's values.
FIXED_BYTES, PALETTE_BYTES = 320, 1024

SAME, VALID = Padding.SAME, Padding.VALID
# Acceptance layers, a strided shortcut, a tall and a wide one: window, units, image.
REAL = [
    (ConvWindow((3, 3), 64), 64, (8, 8)),
    (ConvWindow((3, 3), 16), 16, (16, 16)),
    (ConvWindow((5, 5), 20, padding=VALID), 50, (12, 12)),
    (ConvWindow((1, 1), 16, (2, 2)), 32, (15, 16)),
    (ConvWindow((3, 3), 3, (2, 2)), 8, (33, 41)),
    (ConvWindow((1, 9), 8, padding=VALID), 12, (3, 40)),
    (ConvWindow((10, 4), 1, (2, 2)), 24, (25, 10)),
    (ConvWindow((3, 3), 8, dilations=(2, 4)), 9, (20, 21)),
]


def check(conv: ConvCase, layout: Layout) -> None:
    blob = conv.blob(layout)
    assert native.validate_sparse_conv(blob) is None
    outputs = native_ops.sparse_conv_2d(blob, conv.images, conv.output_shape).outputs
    check_outputs(conv.case, outputs.reshape(-1, conv.output_shape[3]))


@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
def test_random_convolutions(layout: Layout) -> None:
    rng = np.random.default_rng(1)
    for _ in range(150):
        check(random_conv(rng, layout), layout)


@pytest.mark.sweep
@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
def test_many_random_convolutions(layout: Layout) -> None:
    for rng in sweep(2, 200):
        check(random_conv(rng, layout), layout)


@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
def test_layers_of_real_models(layout: Layout) -> None:
    rng = np.random.default_rng(3)
    for window, units, size in REAL:
        check(random_conv(rng, layout, window=window, units=units, size=size, zeros=0.8), layout)


@pytest.mark.parametrize(
    "layout", [x for x in LAYOUTS if x.value_type is not ValueType.FLOAT32], ids=str
)
def test_accumulator_and_left_shift_wrap(layout: Layout) -> None:
    rng = np.random.default_rng(4)
    for _ in range(30):
        check(random_conv(rng, layout, extreme=True), layout)


@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
def test_the_build_that_rounds_once(layout: Layout) -> None:
    rng = np.random.default_rng(5)
    for _ in range(50):
        conv = random_conv(rng, layout)
        weights = conv.blob(layout)[48:]
        found = native_ops.sparse_conv_2d(
            conv.blob(layout), conv.images, conv.output_shape, rounding="single"
        ).outputs
        options, units = conv.case.options.to_bytes(), conv.output_shape[3]
        wanted = native_ops.sparse_fully_connected(
            options, weights, conv.case.inputs, units, rounding="single"
        )
        np.testing.assert_array_equal(found.reshape(wanted.shape), wanted)


@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
def test_scratch_stays_below_four_windows_a_pixel(layout: Layout) -> None:
    rng = np.random.default_rng(6)
    for window, units, size in REAL:
        conv = random_conv(rng, layout, window=window, units=units, size=size, zeros=0.9)
        blob = conv.blob(layout)
        found = native_ops.sparse_conv_2d(blob, conv.images, conv.output_shape).scratch_bytes
        pixels = Strip.of(window, conv.images.shape, shared=PIXELS, own=PIXELS).pixels
        # The strip, rounded up, and what the kernel takes for accumulators of a portion.
        width = conv.images.dtype.itemsize
        assert found - native.scratch_bytes(blob[48:], pixels) <= (
            width * window.cols * pixels + 15
        )


@pytest.mark.parametrize("target", [name for name in TARGETS if name != "host"])
def test_devices_need_five_bytes_a_window_element(target: str) -> None:
    rng = np.random.default_rng(10)
    for layout in layouts_for(target):
        for window, units, size in REAL:
            conv = random_conv(rng, layout, window=window, units=units, size=size, zeros=0.9)
            found = native.conv_scratch_bytes(conv.blob(layout), *size, target=target)
            pixels = strip_of(target, layout, window, (1, *size, window.channels)).pixels
            fixed = FIXED_BYTES
            if layout.value_type is ValueType.PALETTE4:
                fixed += PALETTE_BYTES
            # One of the window, and four of what the kernel makes of it.
            assert found <= 5 * window.cols * pixels + fixed, (str(layout), window)


def test_eight_vectors_take_four_bytes_an_element_beside_the_strip() -> None:
    # On Armv6-M the copy for the kernel is what eight pixels may take: with 16, the strip fits.
    layout = next(x for x in layouts_for("cortex-m0") if str(x) == "4x4_delta8_int8")
    window = ConvWindow((3, 3), 8)
    for width, strip in ((8, 10), (16, 18)):
        size = (8, width)
        conv = random_conv(np.random.default_rng(11), layout, window=window, units=12, size=size)
        found = native.conv_scratch_bytes(conv.blob(layout), *size, target="cortex-m0")
        assert found == 4 * 8 * window.cols + strip * 3 * 8


def test_a_window_in_one_piece_is_not_copied() -> None:
    layout = LAYOUTS[1]  # its kernel needs no scratch here
    for window in (
        ConvWindow((1, 1), 8, (2, 2)),
        ConvWindow((1, 3), 8, (1, 2), padding=VALID),
    ):
        conv = random_conv(np.random.default_rng(7), layout, window=window, size=(5, 9))
        blob = conv.blob(layout)
        run = native_ops.sparse_conv_2d(blob, conv.images, conv.output_shape)
        assert run.scratch_bytes == native.scratch_bytes(blob[48:], conv.output_shape[2])


@pytest.mark.parametrize(
    ("inputs", "outputs"),
    [
        ((1, 8, 8, 5), (1, 8, 8, 7)),  # channels
        ((1, 8, 8, 4), (1, 8, 7, 7)),  # outputs
        ((1, 8, 8, 4), (2, 8, 8, 7)),  # batch
        ((1, 8, 8, 4), (1, 8, 8, 8)),  # units
    ],
)
def test_tensors_that_do_not_fit_are_refused(
    inputs: tuple[int, ...], outputs: tuple[int, ...]
) -> None:
    window = ConvWindow((3, 3), 4)
    conv = random_conv(np.random.default_rng(8), LAYOUTS[0], window=window, units=7, size=(8, 8))
    with pytest.raises(DeviceError, match="SPARSE_CONV_2D refused: tensors do not fit"):
        native_ops.sparse_conv_2d(conv.blob(LAYOUTS[0]), np.zeros(inputs, np.int8), outputs)


def test_an_image_below_a_valid_window_is_refused() -> None:
    window = ConvWindow((5, 5), 2, padding=VALID)
    conv = random_conv(np.random.default_rng(9), LAYOUTS[0], window=window, units=3, size=(6, 6))
    with pytest.raises(DeviceError, match="tensors do not fit"):
        native_ops.sparse_conv_2d(
            conv.blob(LAYOUTS[0]), np.zeros((1, 4, 6, 2), np.int8), (1, 1, 2, 3)
        )
