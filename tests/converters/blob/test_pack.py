"""pack and unpack are inverse, blobs are legal and as small as the format allows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.blob_size import size_of_blob
from tests.support.c_headers import offset_of
from tests.support.layers import layout_case
from tflm_sparsesep.converters import native
from tflm_sparsesep.converters.blob.format import (
    FLAG_BIAS_FOLDED,
    HEADER,
    IndexEncoding,
    Layout,
    Major,
    ValueOrder,
    ValueType,
)
from tflm_sparsesep.converters.blob.layouts import LAYOUTS
from tflm_sparsesep.converters.blob.pack import (
    FloatWeights,
    FullyConnectedWeights,
    can_pack,
    pack,
    read_header,
    unpack,
)
from tflm_sparsesep.converters.blob.size import packed_size


@given(
    rows=st.integers(1, 40),
    cols=st.integers(1, 700),
    zeros=st.sampled_from([0.0, 0.3, 0.9, 0.99, 1.0]),
    seed=st.integers(0, 1000),
    layout=st.sampled_from(LAYOUTS),
)
def test_unpack_is_the_inverse(
    rows: int, cols: int, zeros: float, seed: int, layout: Layout
) -> None:
    layer = layout_case(np.random.default_rng(seed), layout, rows, cols, zeros=zeros).layer
    blob = pack(layer, layout)
    assert native.validate(blob) is None
    unpacked = unpack(blob)
    assert unpacked.layout == layout
    np.testing.assert_array_equal(unpacked.weights, layer.weights)
    if isinstance(layer, FloatWeights):
        np.testing.assert_array_equal(unpacked.bias, layer.bias)
        return
    bias = layer.folded_bias() if layout.major is Major.ROW else layer.bias
    np.testing.assert_array_equal(unpacked.bias, bias)
    np.testing.assert_array_equal(unpacked.multiplier, layer.multiplier)
    np.testing.assert_array_equal(unpacked.shift, layer.shift)


def test_delta8_steps_over_wide_gaps_with_stored_zeros() -> None:
    weights = np.zeros((1, 1000), np.int8)
    weights[0, [0, 600]] = 5
    blob = pack(_layer(weights), Layout(IndexEncoding.DELTA8))
    header = read_header(blob)
    # 0, 255, 510, 600: two weights and two stepping stones make one group of four.
    assert header["blocks"] == 4
    start = int(header["index_offset"])
    assert list(blob[start : start + 4]) == [0, 255, 255, 90]
    np.testing.assert_array_equal(unpack(blob).weights, weights)


PALETTE = Layout(IndexEncoding.DELTA8, count_multiple=1, value_type=ValueType.PALETTE4)


@pytest.mark.parametrize("values", [15, 16], ids=["with a 0", "without"])
def test_delta8_steps_over_wide_gaps_with_weights_of_a_palette_that_cancel(values: int) -> None:
    weights = np.zeros((2, 1000), np.int8)
    weights[0, :values] = [*range(-8, 0), *range(1, values - 7)]
    weights[1, 600] = -3
    blob = pack(_layer(weights), PALETTE)
    assert native.validate(blob) is None
    header = read_header(blob)
    # Two blocks for each of the steps at 255 and 510, and nothing to fill up the counts.
    assert header["blocks"] == values + 5
    start = int(header["index_offset"])
    assert list(blob[start : start + values]) == [0, *[1] * (values - 1)]
    assert list(blob[start + values : start + values + 5]) == [255, 0, 255, 0, 90]
    palette = np.frombuffer(blob, np.int8, 16, int(header["palette_offset"])).astype(int)
    # Two codes a byte: the second row starts at a whole one.
    first = int(header["value_offset"]) + 8
    codes = [code for byte in blob[first : first + 3] for code in (byte & 15, byte >> 4)]
    assert codes[5] == 0
    one, other, third, fourth, last = palette[codes[:5]]
    assert (one + other, third + fourth, last) == (0, 0, -3)
    np.testing.assert_array_equal(unpack(blob).weights, weights)
    assert packed_size(weights != 0, 2, 1000, PALETTE) == size_of_blob(blob)


def test_a_full_palette_without_opposites_cannot_step_over_wide_gaps() -> None:
    weights = np.zeros((1, 1000), np.int8)
    weights[0, 240:256] = range(1, 17)
    assert can_pack(_layer(weights), PALETTE)
    np.testing.assert_array_equal(unpack(pack(_layer(weights), PALETTE)).weights, weights)
    weights[0, 512] = 1
    assert not can_pack(_layer(weights), PALETTE)
    assert can_pack(_layer(weights), replace(PALETTE, index_encoding=IndexEncoding.GAP4))
    with pytest.raises(ValueError, match="16 different weights without 0 or two opposite values"):
        pack(_layer(weights), PALETTE)


def test_window8_names_windows_and_fills_up_the_runs_that_they_cut() -> None:
    weights = np.zeros((1, 1000), np.int8)
    weights[0, [3, 7, 601]] = 5, 6, 7
    blob = pack(_layer(weights), Layout(IndexEncoding.WINDOW8, count_multiple=1))
    # Windows begin at multiples of ceil(1000 / 256) = 4 and reach 256 columns: 601 is in none
    # with 3, so that the first run ends early.
    first, second = [0, 3, 7] + 14 * [7], [150, 1]
    start = int(read_header(blob)["index_offset"])
    assert list(blob[start : start + 19]) == first + second
    assert read_header(blob)["blocks"] == 17
    np.testing.assert_array_equal(unpack(blob).weights, weights)


def test_window8_of_256_columns_has_no_windows() -> None:
    weights = np.zeros((1, 256), np.int8)
    weights[0, [0, 255]] = 1
    blob = pack(_layer(weights), Layout(IndexEncoding.WINDOW8, count_multiple=1))
    start = int(read_header(blob)["index_offset"])
    assert list(blob[start : start + 2]) == [0, 255]
    assert read_header(blob)["blocks"] == 2


@pytest.mark.parametrize(("block_rows", "block_cols"), [(4, 1), (2, 4), (4, 4)])
def test_rows16_stores_rows_of_sixteen(block_rows: int, block_cols: int) -> None:
    weights = np.arange(1, 1 + block_rows * 32, dtype=np.int8).reshape(block_rows, 32)
    layout = Layout(
        IndexEncoding.WINDOW8,
        block_rows,
        block_cols,
        count_multiple=16 // block_cols,
        value_order=ValueOrder.ROWS16,
    )
    blob = pack(_layer(weights), layout)
    start = int(read_header(blob)["value_offset"])
    runs = np.frombuffer(blob, np.int8, weights.size, start).reshape(2, block_rows, 16)
    np.testing.assert_array_equal(np.concatenate(runs, axis=1), weights)


def test_size_is_two_bytes_a_weight_and_eleven_a_row() -> None:
    rng = np.random.default_rng(5)
    weights = np.zeros((300, 784), np.int8)
    for row in weights:
        row[rng.choice(784, 80, replace=False)] = 1
    blob = pack(_layer(weights), Layout(IndexEncoding.DELTA8))
    assert len(blob) == HEADER.itemsize + 300 * (4 + 4 + 1 + 2) + 300 * 80 * 2


def test_folded_bias_wraps_like_the_accumulator() -> None:
    weights = np.full((1, 10), 127, np.int8)
    layer = FullyConnectedWeights(
        weights,
        np.array([2**31 - 1], np.int32),
        np.array([1 << 30], np.int32),
        np.zeros(1, np.int8),
        input_zero_point=-128,
    )
    assert layer.folded_bias()[0] == (2**31 - 1 + 128 * 1270) - 2**32


@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
def test_bias_is_folded_in_row_major_blobs_only(layout: Layout) -> None:
    case = layout_case(np.random.default_rng(6), layout, 6, 20, zeros=0.5)
    blob = bytearray(pack(case.layer, layout))
    flags = int(read_header(bytes(blob))["flags"])
    assert bool(flags & FLAG_BIAS_FOLDED) == (layout.major is Major.ROW)
    offset = offset_of(HEADER, "flags")
    blob[offset] ^= FLAG_BIAS_FOLDED
    assert native.validate(bytes(blob)) == "no kernel of this build runs these packed weights"


def test_bitmaps_of_earlier_versions_are_refused() -> None:
    blob = bytearray(pack(_layer(np.ones((1, 8), np.int8)), LAYOUTS[0]))
    offset = offset_of(HEADER, "index_encoding")
    blob[offset] = 3
    assert native.validate(bytes(blob)) == "no kernel of this build runs these packed weights"


def test_too_large_a_matrix_is_refused() -> None:
    with pytest.raises(ValueError, match=r"weights are 1x65536, accepted: 1\.\.65535"):
        pack(_layer(np.zeros((1, 65536), np.int8)), LAYOUTS[0])


def _layer(weights: np.ndarray) -> FullyConnectedWeights:
    rows = len(weights)
    return FullyConnectedWeights(
        weights,
        np.zeros(rows, np.int32),
        np.full(rows, 1 << 30, np.int32),
        np.zeros(rows, np.int8),
        input_zero_point=0,
    )
