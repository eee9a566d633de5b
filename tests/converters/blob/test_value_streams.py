"""Value streams: palettes, and interleaved blocks with two rows of weights in each int16."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from tflm_sparsesep.converters import native
from tflm_sparsesep.converters.blob import value_streams
from tflm_sparsesep.converters.blob.format import IndexEncoding, Layout, ValueOrder
from tflm_sparsesep.converters.blob.layouts import LAYOUTS
from tflm_sparsesep.converters.blob.pack import (
    FullyConnectedWeights,
    can_pack,
    pack,
    read_header,
    unpack,
)

WOVEN = [layout for layout in LAYOUTS if layout.value_order is ValueOrder.WOVEN]
BY_ROW = Layout(IndexEncoding.DELTA8, 2, 4, count_multiple=1, value_order=ValueOrder.WOVEN)


def layer(weights: npt.NDArray[np.int8]) -> FullyConnectedWeights:
    rows = len(weights)
    return FullyConnectedWeights(
        weights=weights,
        bias=np.arange(rows, dtype=np.int32),
        multiplier=np.full(rows, 1 << 30, np.int32),
        shift=np.full(rows, -7, np.int8),
        input_zero_point=-3,
    )


def test_bytes_of_one_block() -> None:
    weights = np.array([[1, -2, 3, -4], [5, 6, -7, -8]], np.int8)
    blob = pack(layer(weights), BY_ROW)
    start = int(read_header(blob)["value_offset"])
    pairs = np.frombuffer(blob, "<i2", 4, start)
    np.testing.assert_array_equal(pairs, [1 + 256 * 5, 3 - 256 * 7, -2 + 256 * 6, -4 - 256 * 8])


@pytest.mark.parametrize("layout", WOVEN, ids=str)
def test_round_trip_with_all_pairs_of_extremes(layout: Layout) -> None:
    edges = np.array([-127, -1, 0, 1, 127], np.int8)
    weights = np.stack(np.meshgrid(edges, edges)).reshape(2, -1)
    for rows in (weights, np.tile(weights, (3, 1))[:5], weights[:1]):
        blob = pack(layer(rows), layout)
        assert native.validate(blob) is None
        np.testing.assert_array_equal(unpack(blob).weights, rows)


def test_the_lowest_weight_needs_a_row_above_that_is_not_negative() -> None:
    weights = np.zeros((2, 4), np.int8)
    weights[:, 1] = 5, -128
    assert can_pack(layer(weights), BY_ROW)
    np.testing.assert_array_equal(unpack(pack(layer(weights), BY_ROW)).weights, weights)
    weights[0, 1] = -1
    assert not can_pack(layer(weights), BY_ROW)
    with pytest.raises(ValueError, match="too large for layout 2x4_delta8_int8_woven"):
        pack(layer(weights), BY_ROW)


def test_rows_are_bounded_by_what_24_bits_hold() -> None:
    # 127 * 516 = 65532 and 128 * 65532 < 2^23 <= 128 * (65532 + 4).
    weights = np.zeros((2, 520), np.int8)
    weights[1, :516] = 127
    assert can_pack(layer(weights), BY_ROW)
    weights[1, 516] = 4
    assert not can_pack(layer(weights), BY_ROW)


def test_a_palette_holds_the_nonzero_values() -> None:
    weights = np.array([[0, -3, 7], [7, 7, -3]], np.int8)
    assert value_streams.make_palette(weights).tolist() == [-3, 7] + [0] * 14
    assert value_streams.fits_palette(weights)


def test_a_palette_holds_16_values() -> None:
    weights = np.arange(1, 18, dtype=np.int8)
    assert value_streams.fits_palette(weights[:16])
    assert not value_streams.fits_palette(weights)
    with pytest.raises(ValueError, match="17 different weights, a palette holds 16"):
        value_streams.make_palette(weights)


@pytest.mark.parametrize(
    ("values", "pair"), [([0, 3], (0, 0)), ([-3, 3, 5], (-3, 3)), ([-3, 5], None)]
)
def test_opposite_values_of_a_palette(values: list[int], pair: tuple[int, int] | None) -> None:
    assert value_streams.opposites(np.array(values, np.int8)) == pair
