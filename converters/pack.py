"""Dense weights to packed blob, and back.

The layout of the blob is specified in `kernels/include/sparsesep/packed_weights.h`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from tflm_sparsesep.converters.packed_format import (
    FLAG_BIAS_FOLDED,
    HEADER,
    MAGIC,
    MAX_DIM,
    VERSION,
    IndexEncoding,
    Layout,
    Major,
    ValueOrder,
    ValueType,
)

_MAX_DELTA8 = 255


@dataclass(frozen=True)
class FullyConnectedWeights:
    """A quantised fully-connected layer, dense.

    weights int8[rows, cols], bias int32[rows] (not folded), multiplier int32[rows] in Q0.31,
    shift int8[rows], and the zero point that the kernel's inputs carry.
    """

    weights: npt.NDArray[np.int8]
    bias: npt.NDArray[np.int32]
    multiplier: npt.NDArray[np.int32]
    shift: npt.NDArray[np.int8]
    input_zero_point: int

    def folded_bias(self) -> npt.NDArray[np.int32]:
        """bias - input_zero_point * sum(row), modulo 2^32 as the device's accumulator."""
        sums = self.weights.sum(axis=1, dtype=np.int64)
        folded = self.bias.astype(np.int64) - self.input_zero_point * sums
        return folded.astype(np.int32)


def pack(layer: FullyConnectedWeights, layout: Layout) -> bytes:
    """The blob of `layer` in `layout`.

    Raises ValueError for a matrix that the format cannot hold.
    """
    rows, cols = layer.weights.shape
    if not (1 <= rows <= MAX_DIM and 1 <= cols <= MAX_DIM):
        raise ValueError(f"weights are {rows}x{cols}, accepted: 1..{MAX_DIM} each way")
    tiles = _tiles(layer.weights, layout)
    occupied = np.count_nonzero(tiles, axis=(2, 3)) > 0
    stored = [_stored_tiles(occupied[group], layout) for group in range(len(tiles))]
    padded = [_pad(indices, layout.count_multiple) for indices in stored]
    counts = np.array([len(indices) for indices in padded], dtype=np.uint16)
    values = [
        _values(group, real, len(full))
        for group, real, full in zip(tiles, stored, padded, strict=True)
    ]
    sections = [
        ("bias_offset", 4, layer.folded_bias().astype("<i4").tobytes()),
        ("multiplier_offset", 4, layer.multiplier.astype("<i4").tobytes()),
        ("shift_offset", 1, layer.shift.astype(np.int8).tobytes()),
        ("counts_offset", 2, counts.astype("<u2").tobytes()),
        ("index_offset", 4, b"".join(_encode(i, layout.index_encoding) for i in padded)),
        ("value_offset", 4, b"".join(values)),
        ("palette_offset", 1, b""),
        ("permutation_offset", 1, b""),
    ]
    header = np.zeros((), HEADER)
    header["magic"], header["version"] = MAGIC, VERSION
    header["value_type"], header["index_encoding"] = layout.value_type, layout.index_encoding
    header["major"], header["value_order"] = layout.major, layout.value_order
    header["block_rows"], header["block_cols"] = layout.block_rows, layout.block_cols
    header["count_multiple"], header["flags"] = layout.count_multiple, FLAG_BIAS_FOLDED
    header["rows"], header["cols"] = rows, cols
    header["blocks"] = int(counts.sum(dtype=np.int64))
    return _assemble(header, sections)


@dataclass(frozen=True)
class UnpackedWeights:
    """What a blob says: dense weights int8[rows, cols] and the row parameters."""

    layout: Layout
    weights: npt.NDArray[np.int8]
    folded_bias: npt.NDArray[np.int32]
    multiplier: npt.NDArray[np.int32]
    shift: npt.NDArray[np.int8]
    blocks: int


def read_header(blob: bytes) -> np.void:
    """The header of a blob as a record of `packed_format.HEADER`.

    Raises ValueError where `blob` is too short or of another format.
    """
    if len(blob) < HEADER.itemsize:
        raise ValueError(f"blob has {len(blob)} bytes, its header alone has {HEADER.itemsize}")
    header: np.void = np.frombuffer(blob, HEADER, count=1)[0]
    if header["magic"] != MAGIC or header["version"] != VERSION:
        raise ValueError(f"not a packed weight blob of version {VERSION}")
    return header


def layout_of(header: np.void) -> Layout:
    """The layout that a header names."""
    return Layout(
        index_encoding=IndexEncoding(int(header["index_encoding"])),
        block_rows=int(header["block_rows"]),
        block_cols=int(header["block_cols"]),
        count_multiple=int(header["count_multiple"]),
        value_type=ValueType(int(header["value_type"])),
        major=Major(int(header["major"])),
        value_order=ValueOrder(int(header["value_order"])),
    )


def unpack(blob: bytes) -> UnpackedWeights:
    """Inverse of `pack`, for a blob that `native.validate` has accepted."""
    header = read_header(blob)
    layout = layout_of(header)
    rows, cols, blocks = (int(header[key]) for key in ("rows", "cols", "blocks"))
    groups, tiles_per_group = -(-rows // layout.block_rows), -(-cols // layout.block_cols)

    def section(key: str, dtype: str, count: int) -> npt.NDArray[np.generic]:
        return np.frombuffer(blob, dtype, count, int(header[key]))

    counts = section("counts_offset", "<u2", groups)
    area = layout.block_rows * layout.block_cols
    values = section("value_offset", "i1", blocks * area).reshape(
        blocks, layout.block_rows, layout.block_cols
    )
    dtype = "<u2" if layout.index_encoding is IndexEncoding.U16 else "u1"
    index = section("index_offset", dtype, blocks).astype(np.int64)
    tiles = np.zeros((groups, tiles_per_group, layout.block_rows, layout.block_cols), np.int64)
    start = 0
    for group, count in enumerate(counts.astype(np.int64)):
        where = slice(start, start + count)
        columns = index[where]
        if layout.index_encoding is IndexEncoding.DELTA8:
            columns = np.cumsum(columns)
        np.add.at(tiles[group], columns, values[where])
        start += count
    padded = tiles.transpose(0, 2, 1, 3).reshape(groups * layout.block_rows, -1)
    return UnpackedWeights(
        layout=layout,
        weights=padded[:rows, :cols].astype(np.int8),
        folded_bias=section("bias_offset", "<i4", rows).astype(np.int32),
        multiplier=section("multiplier_offset", "<i4", rows).astype(np.int32),
        shift=section("shift_offset", "i1", rows).astype(np.int8),
        blocks=blocks,
    )


def _tiles(weights: npt.NDArray[np.int8], layout: Layout) -> npt.NDArray[np.int8]:
    """weights[rows, cols] as [group, tile, block_rows, block_cols], edges filled with zeros."""
    rows, cols = weights.shape
    padded = np.pad(weights, ((0, -rows % layout.block_rows), (0, -cols % layout.block_cols)))
    groups, width = padded.shape[0] // layout.block_rows, padded.shape[1] // layout.block_cols
    return padded.reshape(groups, layout.block_rows, width, layout.block_cols).transpose(0, 2, 1, 3)


def _stored_tiles(occupied: npt.NDArray[np.bool_], layout: Layout) -> npt.NDArray[np.int64]:
    """Indices of the tiles of one group that must be stored, all-zero stepping stones included."""
    indices = np.flatnonzero(occupied).astype(np.int64)
    if layout.index_encoding is not IndexEncoding.DELTA8 or len(indices) == 0:
        return indices
    stones = [
        np.arange(previous + _MAX_DELTA8, index, _MAX_DELTA8)
        for previous, index in zip([0, *indices[:-1]], indices, strict=True)
        if index - previous > _MAX_DELTA8
    ]
    return np.sort(np.concatenate([indices, *stones]))


def _pad(indices: npt.NDArray[np.int64], multiple: int) -> npt.NDArray[np.int64]:
    """`indices` with its last entry repeated up to a multiple of `multiple`."""
    return np.pad(indices, (0, -len(indices) % multiple), mode="edge") if len(indices) else indices


def _values(
    group: npt.NDArray[np.int8], indices: npt.NDArray[np.int64], padded_count: int
) -> bytes:
    """Weights of the stored tiles of one group, then zeros for the padding."""
    area = group.shape[1] * group.shape[2]
    return group[indices].tobytes() + bytes((padded_count - len(indices)) * area)


def _encode(indices: npt.NDArray[np.int64], encoding: IndexEncoding) -> bytes:
    """The index stream of one group."""
    if encoding is IndexEncoding.U16:
        return indices.astype("<u2").tobytes()
    if encoding is IndexEncoding.DELTA8:
        return np.diff(indices, prepend=0).astype(np.uint8).tobytes()
    raise ValueError(f"index encoding {encoding.name} is not supported; accepted: U16, DELTA8")


def _assemble(header: npt.NDArray[np.void], sections: list[tuple[str, int, bytes]]) -> bytes:
    """Header and aligned sections in one piece; fills the offsets in."""
    body = bytearray(HEADER.itemsize)
    for key, alignment, data in sections:
        body.extend(bytes(-len(body) % alignment))
        header[key] = len(body)
        body.extend(data)
    header["bytes"] = len(body)
    body[: HEADER.itemsize] = header.tobytes()
    return bytes(body)
