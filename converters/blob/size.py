"""The size of a packed layer and the counts that its cost depends on, without packing.

Both follow from the positions of the stored blocks. For every layout they equal those of the blob
that `pack` writes (`tests/converters/blob/test_size.py`), in a fraction of the time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tflm_sparsesep.converters.blob.format import (
    GAP4_ESCAPE,
    HEADER,
    MAX_DELTA8,
    WINDOW_TILES,
    IndexEncoding,
    Layout,
    Major,
    ValueType,
)

Mask = npt.NDArray[np.bool_]
Counts = npt.NDArray[np.int64]

_PALETTE_BYTES = 16
# The bias, and how a row of int8 is requantized.
_ROW_BYTES = {"float32": 4, "int8": 9}
# Blocks of a run of U16 in fully_connected_1x1_u16_int8_mve.c.
_U16_RUN = 8
# Gaps that kernels of the DSP extension read at once.
_WORD_NIBBLES = 8


@dataclass(frozen=True)
class PackedSize:
    """The size of a packed layer, and the counts that its cost depends on.

    Attributes:
        bytes: of the blob.
        rows, cols: output and input channels.
        groups: rows of tiles, or columns of tiles in column-major blobs.
        stored_groups: groups with at least one stored block.
        odd_groups: groups with an odd number of blocks, as some kernels take two at once.
        blocks: stored blocks.
        rest_blocks: blocks after the last whole run of their group.
        runs: runs of 16 columns (8 in U16), including partial ones.
        escapes: steps of 15 columns without a block in a GAP4 stream.
        escaped_words: words of eight gaps, from the start of each group, that hold an escape.
    """

    bytes: int
    rows: int
    cols: int
    groups: int
    stored_groups: int
    odd_groups: int
    blocks: int
    rest_blocks: int
    runs: int
    escapes: int = 0
    escaped_words: int = 0


def block_mask(weights: npt.NDArray[Any], block: tuple[int, int]) -> Mask:
    """Return which blocks (height, width) of weights [rows, cols] hold a nonzero.

    Example:
        >>> block_mask(np.eye(3), (2, 2)).tolist()
        [[True, False], [False, True]]
    """
    mask: Mask = weights != 0
    for axis, size in enumerate(block):
        if size > 1:
            mask = np.logical_or.reduceat(mask, np.arange(0, mask.shape[axis], size), axis=axis)
    return mask


def size_of(weights: npt.NDArray[Any], layout: Layout) -> PackedSize:
    """Return the size of the blob that `pack` would make of `weights` [rows, cols]."""
    mask = block_mask(weights, (layout.block_rows, layout.block_cols))
    rows, cols = weights.shape
    return packed_size(mask, rows, cols, layout)


def least_bytes(weights: npt.NDArray[Any]) -> int:
    """Return a size that no blob of `weights` [rows, ...], int8 or float32, is smaller than.

    A nonzero takes a byte, with a palette half of one and as much for its place.
    """
    rows = _ROW_BYTES[weights.dtype.name] * len(weights)
    return HEADER.itemsize + rows + int(np.count_nonzero(weights))


def packed_size(mask: Mask, rows: int, cols: int, layout: Layout) -> PackedSize:
    """Return the size of the blob that `pack` would make of a layer [rows, cols].

    `mask` is the `block_mask` of the weights for the layout's block.

    Example:
        >>> size = packed_size(np.ones((8, 8), bool), 8, 8, Layout(IndexEncoding.DELTA8))
        >>> size.blocks, size.bytes  # header 64, rows 72, counts 16, index and values 64 each
        (64, 280)
    """
    groups = mask if layout.major is Major.ROW else mask.T
    counts, gaps, owners = _stored(groups, layout)
    nibbles = np.zeros(len(groups), np.int64)
    escapes = escaped_words = 0
    if layout.index_encoding is IndexEncoding.GAP4:
        steps = (gaps - 1) // GAP4_ESCAPE
        nibbles = np.bincount(owners, steps + 1, minlength=len(groups)).astype(np.int64)
        escapes = int(steps.sum())
        escaped_words = _escaped_words(steps, owners, nibbles)
    is_u16 = layout.index_encoding is IndexEncoding.U16
    run_blocks = _U16_RUN if is_u16 else layout.run_blocks
    index = _index_bytes(counts, nibbles, groups.shape[1], layout)
    return PackedSize(
        bytes=_blob_bytes(rows, counts, index, layout),
        rows=rows,
        cols=cols,
        groups=len(counts),
        stored_groups=int(np.count_nonzero(counts)),
        odd_groups=int(np.count_nonzero(counts % 2)),
        blocks=int(counts.sum()),
        rest_blocks=int(np.sum(counts % layout.run_blocks)),
        runs=int(np.sum(-(-counts // run_blocks))),
        escapes=escapes,
        escaped_words=escaped_words,
    )


def _stored(groups: Mask, layout: Layout) -> tuple[Counts, Counts, Counts]:
    """Return the stored blocks of each group, and the gap and the group of each occupied block.

    A gap is the difference to the previous tile; the first of a group counts from -1.
    """
    owners, tiles = np.nonzero(groups)
    first = np.ones(len(owners), bool)
    first[1:] = owners[1:] != owners[:-1]
    gaps = tiles + 1
    gaps[1:] -= np.where(first[1:], 0, gaps[:-1])
    counts = np.bincount(owners, minlength=len(groups)).astype(np.int64)
    if layout.index_encoding is IndexEncoding.DENSE:
        counts[:] = groups.shape[1]
    if layout.index_encoding is IndexEncoding.DELTA8:
        deltas = gaps - first  # the first delta counts from tile 0
        fillers = np.maximum(deltas - 1, 0) // MAX_DELTA8
        blocks = 2 if layout.value_type is ValueType.PALETTE4 else 1  # as in `index_streams`
        counts += np.bincount(owners, blocks * fillers, minlength=len(groups)).astype(np.int64)
    if layout.index_encoding is IndexEncoding.WINDOW8 and groups.shape[1] > WINDOW_TILES:
        counts = _filled_windows(groups, tiles, counts, layout.run_blocks)
    padded = -(-counts // layout.count_multiple) * layout.count_multiple
    return padded, gaps, owners


def _escaped_words(steps: Counts, owners: Counts, nibbles: Counts) -> int:
    """Return `PackedSize.escaped_words`.

    `steps` holds the escapes before each block, `owners` its group, `nibbles` the size of each
    group in gaps.
    """
    starts = np.cumsum(steps + 1) - (steps + 1) - (np.cumsum(nibbles) - nibbles)[owners]
    at, length, group = starts[steps > 0], steps[steps > 0], owners[steps > 0]
    first, last = at // _WORD_NIBBLES, (at + length - 1) // _WORD_NIBBLES
    is_counted = (group[1:] == group[:-1]) & (first[1:] == last[:-1])
    return int(np.sum(last - first + 1) - np.count_nonzero(is_counted))


def _filled_windows(groups: Mask, tiles: Counts, counts: Counts, run_blocks: int) -> Counts:
    """Return `counts` with the padding that keeps each run in one window (`index_streams`).

    Each iteration cuts one run of every group. `tiles` holds the occupied tiles of all groups, one
    group after the other.
    """
    unit = -(-groups.shape[1] // WINDOW_TILES)
    before = np.pad(np.cumsum(groups, axis=1), ((0, 0), (1, 0)))  # occupied tiles left of each
    offsets = np.cumsum(counts) - counts
    start, stored = np.zeros_like(counts), np.zeros_like(counts)
    while len(active := np.flatnonzero(start < counts)):
        first = tiles[offsets[active] + start[active]]
        window_end = np.minimum(first // unit * unit + WINDOW_TILES, groups.shape[1])
        end = np.minimum(start[active] + run_blocks, before[active, window_end])
        is_last = end == counts[active]
        stored[active] += np.where(is_last, end - start[active], run_blocks)
        start[active] = end
    return stored


def _index_bytes(counts: Counts, nibbles: Counts, tiles_per_group: int, layout: Layout) -> int:
    encoding, blocks = layout.index_encoding, int(counts.sum())
    if encoding is IndexEncoding.DENSE:
        return 0
    if encoding in (IndexEncoding.U16, IndexEncoding.OFFSET16):
        return 2 * blocks
    if encoding is IndexEncoding.GAP4:
        return int(np.sum(-(-nibbles // 2)))
    if encoding is IndexEncoding.WINDOW8 and tiles_per_group > WINDOW_TILES:
        return blocks + int(np.sum(-(-counts // layout.run_blocks)))
    return blocks


def _blob_bytes(rows: int, counts: Counts, index: int, layout: Layout) -> int:
    """Return the size of the header and of all aligned sections (`pack._assemble`)."""
    values = int(counts.sum()) * layout.block_rows * layout.block_cols
    is_palette = layout.value_type is ValueType.PALETTE4
    if is_palette:
        values = int(np.sum(-(-counts // 2)))
    if layout.value_type is ValueType.FLOAT32:
        values *= 4
    per_row = _ROW_BYTES["float32" if layout.value_type is ValueType.FLOAT32 else "int8"]
    sections = (
        (2, 2 * len(counts)),
        (4, index),
        (4, values),
        (4, _PALETTE_BYTES if is_palette else 0),
    )
    end = HEADER.itemsize + per_row * rows
    for alignment, size in sections:
        end += -end % alignment + size
    return end
