"""Index streams of a blob: the stored tiles of each group.

A group is one row (or column) of tiles. `tiles` are ascending int64 indices; an index repeats only
as padding. `kernels/include/sparsesep/packed_weights.h` specifies the encodings.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from tflm_sparsesep.converters.blob.format import (
    GAP4_ESCAPE,
    MAX_DELTA8,
    WINDOW_TILES,
    IndexEncoding,
    Layout,
    Major,
    ValueType,
)

Tiles = npt.NDArray[np.int64]

_UINT16_MAX = 65535


def stored_tiles(occupied: npt.NDArray[np.bool_], layout: Layout) -> Tiles:
    """Return the stored tiles of a group: those that `occupied` marks, and those that fill gaps.

    DENSE stores all. DELTA8 adds tiles in gaps wider than its largest step. WINDOW8 repeats a tile
    to complete a run at the end of a window.
    """
    if layout.index_encoding is IndexEncoding.DENSE:
        return np.arange(len(occupied))
    tiles = np.flatnonzero(occupied).astype(np.int64, copy=False)
    if layout.index_encoding is IndexEncoding.WINDOW8:
        return _fill_windows(tiles, _window_unit(len(occupied)), layout.run_blocks)
    if layout.index_encoding is not IndexEncoding.DELTA8:
        return tiles
    steps = _steps(tiles, 0)
    wide = steps > MAX_DELTA8
    if not wide.any():
        return tiles
    fillers = [
        np.arange(tile - step + MAX_DELTA8, tile, MAX_DELTA8)
        for step, tile in zip(steps[wide], tiles[wide], strict=True)
    ]
    # A palette without 0 has two opposite weights in its place.
    blocks = 2 if layout.value_type is ValueType.PALETTE4 else 1
    return np.sort(np.concatenate([tiles, *fillers * blocks]))


def has_wide_gaps(occupied: npt.NDArray[np.bool_]) -> bool:
    """Return True if DELTA8 stores more tiles of a group than the occupied ones."""
    return bool(np.any(_steps(np.flatnonzero(occupied), 0) > MAX_DELTA8))


def pad(tiles: Tiles, multiple: int) -> Tiles:
    """Return `tiles` with the last one repeated up to a multiple of `multiple`."""
    missing = -len(tiles) % multiple
    return np.append(tiles, np.repeat(tiles[-1:], missing)) if missing else tiles


def repeats(tiles: Tiles) -> npt.NDArray[np.bool_]:
    """Return which of `tiles` repeat the previous one; their blocks are all zero."""
    repeated: npt.NDArray[np.bool_] = _steps(tiles, -1) == 0
    return repeated


def _steps(tiles: Tiles, before: int) -> Tiles:
    """Return how far each of `tiles` is from the one before it, the first one from `before`."""
    steps = tiles.copy()
    steps[1:] -= tiles[:-1]
    steps[:1] -= before
    return steps


def encode(tiles: Tiles, tiles_per_group: int, layout: Layout) -> bytes:
    """Return the index stream of one group.

    Raises:
        ValueError: an offset exceeds OFFSET16.
    """
    encoding = layout.index_encoding
    if encoding is IndexEncoding.DENSE:
        return b""
    if encoding is IndexEncoding.U16:
        return tiles.astype("<u2").tobytes()
    if encoding is IndexEncoding.OFFSET16:
        offsets = tiles * _offset_unit(layout)
        if len(offsets) and offsets.max() > _UINT16_MAX:
            raise ValueError(f"an offset of {offsets.max()} bytes, offset16 holds {_UINT16_MAX}")
        return offsets.astype("<u2").tobytes()
    if encoding is IndexEncoding.DELTA8:
        return _steps(tiles, 0).astype(np.uint8).tobytes()
    if encoding is IndexEncoding.WINDOW8:
        return _encode_window8(tiles, _window_unit(tiles_per_group), layout.run_blocks)
    return _encode_gap4(tiles)


def decode(stream: bytes, counts: Tiles, tiles_per_group: int, layout: Layout) -> Iterator[Tiles]:
    """Yield the tiles of each group from the index section of a valid blob.

    `counts` are the stored tiles of each group, `tiles_per_group` those stored or not.
    """
    encoding = layout.index_encoding
    position = 0
    for count in counts.tolist():
        if encoding in (IndexEncoding.U16, IndexEncoding.OFFSET16):
            unit = _offset_unit(layout) if encoding is IndexEncoding.OFFSET16 else 1
            yield np.frombuffer(stream, "<u2", count, position).astype(np.int64) // unit
            position += 2 * count
        elif encoding is IndexEncoding.DELTA8:
            yield np.cumsum(np.frombuffer(stream, np.uint8, count, position), dtype=np.int64)
            position += count
        elif encoding is IndexEncoding.DENSE:
            yield np.arange(count)
        elif encoding is IndexEncoding.WINDOW8:
            unit = _window_unit(tiles_per_group)
            tiles, size = _decode_window8(stream, position, count, unit, layout.run_blocks)
            yield tiles
            position += size
        else:
            tiles, size = _decode_gap4(stream, position, count)
            yield tiles
            position += size


def _offset_unit(layout: Layout) -> int:
    """Return the bytes between adjacent tiles in a vector of int32."""
    return 4 * (layout.block_cols if layout.major is Major.ROW else layout.block_rows)


def _window_unit(tiles_per_group: int) -> int:
    """Return the tiles between adjacent windows; 1 if one window covers the group."""
    return -(-tiles_per_group // WINDOW_TILES)


def _fill_windows(tiles: Tiles, unit: int, run_blocks: int) -> Tiles:
    """Return `tiles`, padded so that each run lies in the window of its first tile."""
    if unit == 1:
        return tiles
    runs = [tiles[:0]]
    start = 0
    while start < len(tiles):
        window_end = tiles[start] // unit * unit + WINDOW_TILES
        end = min(start + run_blocks, int(np.searchsorted(tiles, window_end)))
        run = tiles[start:end]
        runs.append(run if end == len(tiles) else pad(run, run_blocks))
        start = end
    return np.concatenate(runs)


def _encode_window8(tiles: Tiles, unit: int, run_blocks: int) -> bytes:
    if unit == 1:
        return tiles.astype(np.uint8).tobytes()
    stream = bytearray()
    for start in range(0, len(tiles), run_blocks):
        run = tiles[start : start + run_blocks]
        window = int(run[0]) // unit
        stream.append(window)
        stream += (run - window * unit).astype(np.uint8).tobytes()
    return bytes(stream)


def _decode_window8(
    stream: bytes, position: int, count: int, unit: int, run_blocks: int
) -> tuple[Tiles, int]:
    """Return `count` tiles, and the size of their stream in bytes."""
    if unit == 1:
        return np.frombuffer(stream, np.uint8, count, position).astype(np.int64), count
    size = count + -(-count // run_blocks)
    packed = np.frombuffer(stream, np.uint8, size, position).astype(np.int64)
    windows = packed[:: run_blocks + 1] * unit
    offsets = np.delete(packed, np.s_[:: run_blocks + 1])
    return np.repeat(windows, run_blocks)[:count] + offsets, size


def _encode_gap4(tiles: Tiles) -> bytes:
    escapes, rest = np.divmod(_steps(tiles, -1) - 1, GAP4_ESCAPE)
    ends = np.cumsum(escapes + 1)
    nibbles = np.full(ends[-1] if len(ends) else 0, GAP4_ESCAPE, np.uint8)
    nibbles[ends - 1] = rest
    return pack_nibbles(nibbles)


def _decode_gap4(stream: bytes, position: int, count: int) -> tuple[Tiles, int]:
    """Return `count` tiles, and the size of their stream in bytes."""
    tiles: list[int] = []
    tile, nibbles = 0, 0
    while len(tiles) < count:
        gap = stream[position + nibbles // 2] >> 4 * (nibbles % 2) & 15
        nibbles += 1
        tile += gap
        if gap < GAP4_ESCAPE:
            tiles.append(tile)
            tile += 1
    return np.array(tiles, np.int64), (nibbles + 1) // 2


def pack_nibbles(nibbles: npt.NDArray[np.uint8]) -> bytes:
    """Return bytes that hold two numbers of 0..15 each, the first in the low nibble."""
    packed, high = nibbles[0::2].copy(), nibbles[1::2]
    packed[: len(high)] |= high << 4
    return packed.tobytes()
