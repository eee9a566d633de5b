"""Sparse convolutions whose weights are pages in an external memory, through the op core."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from tests.support import native_ops
from tests.support.models.sparse_models import sparse_conv_model
from tests.support.pages import Flash, WornFlash, page_conv
from tests.support.residuals import random_residual, sums
from tests.support.sparse_convs import ConvCase, random_conv
from tests.support.sweeps import sweep
from tflm_sparsesep.converters import native
from tflm_sparsesep.converters.blob.format import Layout
from tflm_sparsesep.converters.blob.layouts import LAYOUTS
from tflm_sparsesep.converters.blob.pack_sparse_conv import ConvWindow, with_residual
from tflm_sparsesep.converters.blob.paged_format import Table
from tflm_sparsesep.converters.blob.separable_format import Padding
from tflm_sparsesep.converters.blob.sparse_conv_format import HEADER
from tflm_sparsesep.converters.errors import DeviceError
from tflm_sparsesep.converters.layers.paged import paged_scratch_bytes
from tflm_sparsesep.converters.tflite import editor

LAYOUT = LAYOUTS[0]
# Overlapping windows, strided ones, windows that are read in place, and a dilated one.
WINDOWS = [
    (ConvWindow((3, 3), 8), 42, (9, 21)),
    (ConvWindow((3, 2), 5, (2, 3)), 29, (9, 20)),
    (ConvWindow((1, 3), 16, (1, 2), padding=Padding.VALID), 30, (3, 31)),
    (ConvWindow((3, 3), 4, dilations=(2, 3)), 33, (12, 11)),
]


def example(layout: Layout = LAYOUT, number: int = 0) -> ConvCase:
    """A convolution of WINDOWS."""
    window, units, size = WINDOWS[number]
    rng = np.random.default_rng(number)
    return random_conv(rng, layout, window=window, units=units, size=size, zeros=0.7)


def unpaged(conv: ConvCase, layout: Layout) -> npt.NDArray[np.generic]:
    return native_ops.sparse_conv_2d(conv.blob(layout), conv.images, conv.output_shape).outputs


@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
@pytest.mark.parametrize("overlaps", [False, True])
@pytest.mark.parametrize("is_trusted", [False, True])
def test_outputs_equal_the_unpaged_layers(layout: Layout, overlaps: bool, is_trusted: bool) -> None:
    for number in range(len(WINDOWS)):
        conv = example(layout, number)
        blob, image = page_conv(conv, layout)
        assert len(Table.from_bytes(blob[HEADER.itemsize :]).pages) > 1
        run = native_ops.paged_sparse_conv(
            blob,
            Flash(image),
            conv.images,
            conv.output_shape,
            overlaps=overlaps,
            is_trusted=is_trusted,
            evals=2,
        )
        np.testing.assert_array_equal(run.outputs, unpaged(conv, layout))


@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
def test_random_convolutions(layout: Layout) -> None:
    for rng in sweep(7, 40):
        conv = random_conv(rng, layout)
        blob, image = page_conv(conv, layout, part=float(rng.choice([0.2, 0.6, 1.1])))
        overlaps = bool(rng.integers(0, 2))
        run = native_ops.paged_sparse_conv(
            blob, Flash(image), conv.images, conv.output_shape, overlaps=overlaps
        )
        np.testing.assert_array_equal(run.outputs, unpaged(conv, layout))


@pytest.mark.parametrize("overlaps", [False, True])
def test_pages_add_a_residual(overlaps: bool) -> None:
    for rng in sweep(8, 20):
        conv = random_conv(rng, LAYOUT, window=ConvWindow((3, 3), 8), units=24)
        residual = random_residual(rng)
        other = rng.integers(-128, 128, conv.output_shape).astype(np.int8)
        blob, image = page_conv(conv, LAYOUT)
        run = native_ops.paged_sparse_conv(
            with_residual(blob, residual),
            Flash(image),
            conv.images,
            conv.output_shape,
            overlaps=overlaps,
            residual=other,
        )
        zero_point = conv.case.options.output_zero_point
        expected = sums(residual, unpaged(conv, LAYOUT), zero_point, other)
        np.testing.assert_array_equal(run.outputs, expected)


def test_layers_in_the_model_run_as_ever() -> None:
    conv, flash = example(), Flash(b"")
    blob = conv.blob(LAYOUT)
    run = native_ops.paged_sparse_conv(blob, flash, conv.images, conv.output_shape)
    np.testing.assert_array_equal(run.outputs, unpaged(conv, LAYOUT))
    assert flash.calls == []


def test_each_page_is_fetched_once_for_all_pixels() -> None:
    conv = example()
    blob, image = page_conv(conv, LAYOUT)
    pages, flash = Table.from_bytes(blob[HEADER.itemsize :]).pages, Flash(image)
    native_ops.paged_sparse_conv(blob, flash, conv.images, conv.output_shape, evals=2)
    fetched = [size for _, size in flash.calls[-2 * len(pages) :]]
    assert fetched == 2 * [page.bytes for page in pages]


@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
def test_scratch_is_what_python_states(layout: Layout) -> None:
    for number, (window, _, size) in enumerate(WINDOWS):
        conv = example(layout, number)
        blob, image = page_conv(conv, layout)
        table = Table.from_bytes(blob[HEADER.itemsize :])
        (op,) = editor.read(sparse_conv_model(conv, layout, blob=blob)).operators
        stated = paged_scratch_bytes(op, target="host")
        # The strip and the kernel as without pages, and a line of one page's outputs.
        rows = max(page.rows for page in table.pages)
        line = conv.output_shape[2] * rows * conv.images.itemsize
        whole = native.conv_scratch_bytes(conv.blob(layout), *size, target="host")
        assert stated <= HEADER.itemsize + table.largest_page + line + 15 + whole, window
        for overlaps in (False, True):
            run = native_ops.paged_sparse_conv(
                blob, Flash(image), conv.images, conv.output_shape, overlaps=overlaps, evals=0
            )
            second = HEADER.itemsize + table.largest_page if overlaps else 0
            assert run.scratch_bytes == stated + second


@pytest.mark.parametrize("overlaps", [False, True])
def test_a_failing_fetch_is_an_error_wherever_it_fails(overlaps: bool) -> None:
    conv = example()
    blob, image = page_conv(conv, LAYOUT)
    whole = Flash(image)
    native_ops.paged_sparse_conv(blob, whole, conv.images, conv.output_shape, overlaps=overlaps)
    for failing in range(1, len(whole.calls) + 1):
        flash = Flash(image, failing)
        with pytest.raises(DeviceError, match="refused: cannot read external memory"):
            native_ops.paged_sparse_conv(
                blob, flash, conv.images, conv.output_shape, overlaps=overlaps
            )
        assert len(flash.calls) == failing


def test_other_pages_than_the_models_are_refused() -> None:
    conv = example()
    blob, image = page_conv(conv, LAYOUT)
    message = "external memory holds other weights than the model"
    with pytest.raises(DeviceError, match=message):
        native_ops.paged_sparse_conv(
            blob, Flash(bytes(len(image))), conv.images, conv.output_shape, evals=0
        )
    whole = Flash(image)
    native_ops.paged_sparse_conv(blob, whole, conv.images, conv.output_shape, evals=0)
    with pytest.raises(DeviceError, match=message):
        native_ops.paged_sparse_conv(
            blob, WornFlash(image, worn=len(whole.calls) + 2), conv.images, conv.output_shape
        )


def test_damaged_headers_and_tables_are_refused_before_a_fetch() -> None:
    conv = example()
    blob, image = page_conv(conv, LAYOUT)
    for at, value, message in [
        (0, 0, "not packed weights of version 1"),  # magic
        (5, 2, "no kernel of this build runs"),  # padding
        (6, 2, "illegal rows, cols or block"),  # kernel_height: other columns
        (8, 0, "illegal rows, cols or block"),  # stride_height
        (32, 1, "no kernel of this build runs"),  # input_step
        (HEADER.itemsize + 4, 2, "not packed weights of version 1"),  # version of the table
        (HEADER.itemsize + 12, 43, "a section lies outside the blob"),  # rows
        (HEADER.itemsize + 24, 64, "a section lies outside the blob"),  # largest_page
    ]:
        data, flash = bytearray(blob), Flash(image)
        data[at] = value
        with pytest.raises(DeviceError, match=message):
            native_ops.paged_sparse_conv(
                bytes(data), flash, conv.images, conv.output_shape, evals=0
            )
        assert flash.calls == []
    with pytest.raises(DeviceError, match="a section lies outside the blob"):
        native_ops.paged_sparse_conv(blob[:-4], Flash(image), conv.images, conv.output_shape)
    with pytest.raises(DeviceError, match="tensors do not fit"):
        native_ops.paged_sparse_conv(
            blob, Flash(image), conv.images, (*conv.output_shape[:3], 43), evals=0
        )
