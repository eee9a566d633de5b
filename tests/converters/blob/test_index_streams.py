"""Index streams: what every encoding stores, and that it reads it back."""

from __future__ import annotations

import numpy as np
import pytest

from tflm_sparsesep.converters.blob import index_streams
from tflm_sparsesep.converters.blob.format import IndexEncoding, Layout, Major, ValueType

ENCODINGS = [
    Layout(IndexEncoding.U16),
    Layout(IndexEncoding.DELTA8),
    Layout(IndexEncoding.GAP4),
    Layout(IndexEncoding.OFFSET16, 4, 1, major=Major.COLUMN),
    Layout(IndexEncoding.WINDOW8),
    Layout(IndexEncoding.WINDOW8, 1, 4),
]


@pytest.mark.parametrize("layout", ENCODINGS, ids=str)
@pytest.mark.parametrize("tiles_per_group", [1, 16, 255, 256, 257, 3000])
def test_decode_is_the_inverse_of_encode(layout: Layout, tiles_per_group: int) -> None:
    rng = np.random.default_rng(0)
    groups = [
        index_streams.stored_tiles(rng.random(tiles_per_group) < share, layout)
        for share in (0.0, 0.02, 0.5, 1.0)
    ]
    stream = b"".join(index_streams.encode(tiles, tiles_per_group, layout) for tiles in groups)
    counts = np.array([len(tiles) for tiles in groups])
    decoded = index_streams.decode(stream, counts, tiles_per_group, layout)
    for tiles, found in zip(groups, decoded, strict=True):
        np.testing.assert_array_equal(found, tiles)


def occupied(size: int, *tiles: int) -> np.ndarray:
    mask = np.zeros(size, bool)
    mask[list(tiles)] = True
    return mask


def test_delta8_fills_gaps_of_more_than_255() -> None:
    layout = Layout(IndexEncoding.DELTA8)
    mask = occupied(1000, 3, 258, 900)
    assert index_streams.has_wide_gaps(mask)
    assert index_streams.stored_tiles(mask, layout).tolist() == [3, 258, 513, 768, 900]
    palette = Layout(IndexEncoding.DELTA8, value_type=ValueType.PALETTE4)
    expected = [3, 258, 513, 513, 768, 768, 900]
    assert index_streams.stored_tiles(mask, palette).tolist() == expected
    assert not index_streams.has_wide_gaps(occupied(1000, 255, 510))


def test_padding_repeats_the_last_tile() -> None:
    tiles = index_streams.pad(np.array([2, 5, 9]), 4)
    assert tiles.tolist() == [2, 5, 9, 9]
    assert index_streams.repeats(tiles).tolist() == [False, False, False, True]
    assert len(index_streams.pad(np.array([], np.int64), 4)) == 0


def test_an_offset_beyond_16_bits_is_refused() -> None:
    layout = Layout(IndexEncoding.OFFSET16, 4, 1, major=Major.COLUMN)
    with pytest.raises(ValueError, match="an offset of 65536 bytes, offset16 holds 65535"):
        index_streams.encode(np.array([4096]), 5000, layout)


def test_nibbles_are_stored_low_first() -> None:
    assert index_streams.pack_nibbles(np.array([1, 2, 15], np.uint8)) == b"\x21\x0f"
