"""Value streams of a blob: the weights of the stored blocks.

Blocks are arrays [blocks, block_rows, block_cols]. `kernels/include/sparsesep/packed_weights.h`
specifies the encodings.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from tflm_sparsesep.converters.blob.format import Layout, ValueOrder, ValueType
from tflm_sparsesep.converters.blob.index_streams import pack_nibbles

PALETTE_SIZE = 16
WOVEN_BOUND = 1 << 23
"""In interleaved blobs, 128 * sum(|weight|) of each row is less than this."""

Blocks = npt.NDArray[Any]


def fits_palette(weights: npt.NDArray[np.int8]) -> bool:
    """Return True if `weights` has at most 16 different nonzero values."""
    return len(np.unique(weights[weights != 0])) <= PALETTE_SIZE


def fits_weave(weights: npt.NDArray[np.int8], layout: Layout) -> bool:
    """Return True if rows of `weights` [rows, cols] can be interleaved (ORDER_WOVEN).

    Two weights must fit into 16 bits: -128 does not fit together with a negative weight in the high
    byte. The products of a row with any int8 input must sum to less than 2^23.
    """
    wide = weights.astype(np.int32)
    low, high = wide[0::2], wide[1::2]
    bottom = np.where(low[: len(high)] < 0, -127, -128)
    sums = np.abs(wide).sum(axis=1)
    return bool(np.all(high >= bottom) and np.all(sums * 128 < WOVEN_BOUND))


def make_palette(weights: npt.NDArray[np.int8]) -> npt.NDArray[np.int8]:
    """Return the nonzero values of `weights`, ascending and padded with 0: int8[16].

    Raises:
        ValueError: there are more than 16 different nonzero values.
    """
    values = np.unique(weights[weights != 0])
    if len(values) > PALETTE_SIZE:
        raise ValueError(f"{len(values)} different weights, a palette holds {PALETTE_SIZE}")
    return np.pad(values, (0, PALETTE_SIZE - len(values))).astype(np.int8)


def opposites(palette: npt.NDArray[np.int8]) -> tuple[int, int] | None:
    """Return two values of a palette with the sum 0 (0 and 0 if it has a 0); None if none do."""
    values = np.unique(palette).astype(int).tolist()
    negative = sorted(v for v in values if v <= 0 and -v in values)
    return (negative[-1], -negative[-1]) if negative else None


def encode(blocks: Blocks, layout: Layout, palette: npt.NDArray[np.int8] | None) -> bytes:
    """Return the value stream of one group.

    Raises:
        ValueError: the palette cannot represent zero weights that fill gaps.
    """
    if layout.value_type is ValueType.FLOAT32:
        return blocks.astype("<f4").tobytes()
    if layout.value_type is ValueType.PALETTE4:
        assert palette is not None
        flat = _without_zeros(blocks.reshape(-1), palette)
        return pack_nibbles(np.argmax(flat[:, None] == palette, axis=1).astype(np.uint8))
    if layout.value_order is ValueOrder.PAIRS:
        return _to_pairs(blocks).tobytes()
    if layout.value_order is ValueOrder.ROWS16:
        return _runs(blocks, layout).transpose(0, 2, 1, 3).astype(np.int8).tobytes()
    if layout.value_order is ValueOrder.WOVEN:
        return _weave(blocks, layout).tobytes()
    return blocks.astype(np.int8).tobytes()


def decode(stream: bytes, counts: npt.NDArray[np.int64], layout: Layout, palette: bytes) -> Blocks:
    """Return all blocks from the value section of a valid blob, `counts` in each group."""
    shape = (int(counts.sum()), layout.block_rows, layout.block_cols)
    area = layout.block_rows * layout.block_cols
    if layout.value_type is ValueType.FLOAT32:
        return np.frombuffer(stream, "<f4", shape[0] * area).reshape(shape)
    if layout.value_type is ValueType.PALETTE4:
        return _from_palette(stream, counts, palette).reshape(shape)
    values = np.frombuffer(stream, np.int8, shape[0] * area).reshape(shape)
    if layout.value_order is ValueOrder.ROWS16:
        by_row = values.reshape(-1, layout.block_rows, layout.run_blocks, layout.block_cols)
        return by_row.transpose(0, 2, 1, 3).reshape(shape)
    if layout.value_order is ValueOrder.WOVEN:
        return _unweave(values, layout)
    return _from_pairs(values) if layout.value_order is ValueOrder.PAIRS else values


def _without_zeros(values: Blocks, palette: npt.NDArray[np.int8]) -> Blocks:
    """Return `values` with two opposite values in place of each two zeros.

    DELTA8 stores such a pair of zeros at one position, so that their products cancel.

    Raises:
        ValueError: the palette has no opposite values.
    """
    zeros = np.flatnonzero(values == 0)
    if len(zeros) == 0:
        return values
    pair = opposites(palette)
    if pair is None:
        raise ValueError("16 different weights without 0 or two opposite values, which fill gaps")
    filled = values.copy()
    filled[zeros[0::2]], filled[zeros[1::2]] = pair
    return filled


def _from_palette(
    stream: bytes, counts: npt.NDArray[np.int64], palette: bytes
) -> npt.NDArray[np.int8]:
    table = np.frombuffer(palette, np.int8, PALETTE_SIZE)
    groups = [np.zeros(0, np.int8)]
    position = 0
    for count in counts.tolist():
        packed = np.frombuffer(stream, np.uint8, (count + 1) // 2, position)
        nibbles = np.stack([packed & 15, packed >> 4], axis=1).reshape(-1)[:count]
        groups.append(table[nibbles])
        position += len(packed)
    return np.concatenate(groups)


def _runs(blocks: Blocks, layout: Layout) -> Blocks:
    """Return blocks as [run, block, block_rows, block_cols]."""
    return blocks.reshape(-1, layout.run_blocks, layout.block_rows, layout.block_cols)


def _weave(blocks: Blocks, layout: Layout) -> npt.NDArray[np.int16]:
    """Return blocks as [block, parity of column, pair of rows, columns of that parity]."""
    wide = blocks.astype(np.int32)
    pairs = wide[:, 0::2] + 256 * wide[:, 1::2]
    by_row = pairs.reshape(len(blocks), layout.block_rows // 2, layout.block_cols // 2, 2)
    return by_row.transpose(0, 3, 1, 2).astype("<i2")


def _unweave(values: Blocks, layout: Layout) -> Blocks:
    pairs = values.reshape(-1).view("<i2").astype(np.int32)
    shape = (len(values), 2, layout.block_rows // 2, layout.block_cols // 2)
    by_row = pairs.reshape(shape).transpose(0, 2, 3, 1)
    low = by_row.astype(np.int8)
    high = ((by_row - low) >> 8).astype(np.int8)
    return np.stack([low, high], axis=2).reshape(values.shape)


def _to_pairs(blocks: Blocks) -> Blocks:
    """Reorder two 4x1 blocks a, b into a0 a1 b0 b1 a2 a3 b2 b3."""
    return blocks.reshape(-1, 2, 2, 2).transpose(0, 2, 1, 3).astype(np.int8)


def _from_pairs(values: Blocks) -> Blocks:
    return values.reshape(-1, 2, 2, 2).transpose(0, 2, 1, 3).reshape(values.shape)
