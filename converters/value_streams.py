"""Value streams of the packed format: the weights of stored blocks.

Blocks are arrays [blocks, block_rows, block_cols]; the encodings are specified in
`kernels/include/sparsesep/packed_weights.h`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from tflm_sparsesep.converters.index_streams import pack_nibbles
from tflm_sparsesep.converters.packed_format import Layout, ValueOrder, ValueType

PALETTE_SIZE = 16

Blocks = npt.NDArray[Any]


def fits_palette(weights: npt.NDArray[np.int8]) -> bool:
    """Whether `weights` has at most 16 different nonzero values."""
    return len(np.unique(weights[weights != 0])) <= PALETTE_SIZE


def make_palette(weights: npt.NDArray[np.int8]) -> npt.NDArray[np.int8]:
    """The int8[16] values that `weights` is made of, ascending, filled up with 0.

    Raises ValueError where there are more than 16 different nonzero ones.
    """
    values = np.unique(weights[weights != 0])
    if len(values) > PALETTE_SIZE:
        raise ValueError(f"{len(values)} different weights, a palette holds {PALETTE_SIZE}")
    return np.pad(values, (0, PALETTE_SIZE - len(values))).astype(np.int8)


def encode(blocks: Blocks, layout: Layout, palette: npt.NDArray[np.int8] | None) -> bytes:
    """The value stream of one group."""
    if layout.value_type is ValueType.FLOAT32:
        return blocks.astype("<f4").tobytes()
    if layout.value_type is ValueType.PALETTE4:
        assert palette is not None
        flat = blocks.reshape(-1, 1)
        return pack_nibbles(np.argmax(flat == palette, axis=1).astype(np.uint8))
    if layout.value_order is ValueOrder.PAIRS:
        return _to_pairs(blocks).tobytes()
    if layout.value_order is ValueOrder.ROWS16:
        return _runs(blocks, layout).transpose(0, 2, 1, 3).astype(np.int8).tobytes()
    return blocks.astype(np.int8).tobytes()


def decode(stream: bytes, counts: npt.NDArray[np.int64], layout: Layout, palette: bytes) -> Blocks:
    """All blocks, from a stream that the validator has accepted."""
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
    return _from_pairs(values) if layout.value_order is ValueOrder.PAIRS else values


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
    """Blocks as [run, block, block_rows, block_cols]."""
    return blocks.reshape(-1, layout.run_blocks, layout.block_rows, layout.block_cols)


def _to_pairs(blocks: Blocks) -> Blocks:
    """4x1 blocks a, b -> a0 a1 b0 b1 a2 a3 b2 b3."""
    return blocks.reshape(-1, 2, 2, 2).transpose(0, 2, 1, 3).astype(np.int8)


def _from_pairs(values: Blocks) -> Blocks:
    return values.reshape(-1, 2, 2, 2).transpose(0, 2, 1, 3).reshape(values.shape)
