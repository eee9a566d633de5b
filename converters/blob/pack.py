"""Dense weights to a blob of packed weights, and back.

`kernels/include/sparsesep/packed_weights.h` specifies the blob.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tflm_sparsesep.converters.blob import index_streams, value_streams
from tflm_sparsesep.converters.blob.format import (
    FLAG_BIAS_FOLDED,
    FLAG_BOUNDED,
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
from tflm_sparsesep.converters.blob.requantization import bounded_rows


@dataclass(frozen=True)
class FullyConnectedWeights:
    """The numbers of a dense int8 layer.

    Attributes:
        weights: int8[rows, cols].
        bias: int32[rows], not folded.
        multiplier: int32[rows], Q0.31.
        shift: int8[rows], positive to the left.
        input_zero_point: of the input.
    """

    weights: npt.NDArray[np.int8]
    bias: npt.NDArray[np.int32]
    multiplier: npt.NDArray[np.int32]
    shift: npt.NDArray[np.int8]
    input_zero_point: int

    def folded_bias(self) -> npt.NDArray[np.int32]:
        """Return bias - input_zero_point * sum(row), modulo 2^32 as in the accumulator."""
        return self._wide_folded_bias().astype(np.int32)

    def is_bounded(self) -> bool:
        """Return True if FLAG_BOUNDED holds for every input."""
        return bool(np.all(self.bounded_rows()))

    def bounded_rows(self) -> npt.NDArray[np.bool_]:
        """Return True for each row that keeps the promise of FLAG_BOUNDED."""
        magnitudes = np.abs(self.weights.astype(np.int64)).sum(axis=1)
        return bounded_rows(self._wide_folded_bias(), magnitudes, self.shift)

    def _wide_folded_bias(self) -> npt.NDArray[np.int64]:
        sums = self.weights.sum(axis=1, dtype=np.int64)
        folded: npt.NDArray[np.int64] = self.bias.astype(np.int64) - self.input_zero_point * sums
        return folded


@dataclass(frozen=True)
class FloatWeights:
    """The numbers of a dense float32 layer: weights [rows, cols], bias [rows]."""

    weights: npt.NDArray[np.float32]
    bias: npt.NDArray[np.float32]


PackableWeights = FullyConnectedWeights | FloatWeights


def can_pack(layer: PackableWeights, layout: Layout) -> bool:
    """Return True if `layout` can store the weights of `layer`."""
    if isinstance(layer, FloatWeights):
        return layout.value_type is ValueType.FLOAT32
    if layout.value_type is ValueType.PALETTE4:
        return value_streams.fits_palette(layer.weights) and _fills_gaps(layer.weights, layout)
    if layout.value_order is ValueOrder.WOVEN:
        return value_streams.fits_weave(layer.weights, layout)
    return layout.value_type is ValueType.INT8


def pack(layer: PackableWeights, layout: Layout) -> bytes:
    """Return the blob of `layer` in `layout`.

    Raises:
        ValueError: the matrix is too large, or `layout` cannot store the weights: they have another
            dtype, more than 16 different values for a palette (or 16 without two opposite values,
            if DELTA8 must fill gaps), or are too large to be interleaved.
    """
    rows, cols = layer.weights.shape
    if not (1 <= rows <= MAX_DIM and 1 <= cols <= MAX_DIM):
        raise ValueError(f"weights are {rows}x{cols}, accepted: 1..{MAX_DIM} each way")
    is_float = isinstance(layer, FloatWeights)
    if is_float != (layout.value_type is ValueType.FLOAT32):
        raise ValueError(f"weights are {layer.weights.dtype}, layout {layout} stores others")
    if layout.value_order is ValueOrder.WOVEN and not can_pack(layer, layout):
        raise ValueError(f"weights are too large for layout {layout}: see value_streams.fits_weave")
    palette = None
    if layout.value_type is ValueType.PALETTE4:
        palette = value_streams.make_palette(layer.weights.astype(np.int8))

    tiles = _tiles(layer.weights, layout)
    occupied = np.count_nonzero(tiles, axis=(2, 3)) > 0
    counts, index, values = [], [], []
    for group, mask in zip(tiles, occupied, strict=True):
        stored = index_streams.stored_tiles(mask, layout)
        padded = index_streams.pad(stored, layout.count_multiple)
        blocks = group[padded]
        blocks[index_streams.repeats(padded)] = 0
        counts.append(len(padded))
        index.append(index_streams.encode(padded, len(mask), layout))
        values.append(value_streams.encode(blocks, layout, palette))

    header = _header(layer, layout, sum(counts))
    return _assemble(
        header,
        [
            *_row_sections(layer, layout),
            ("counts_offset", 2, np.array(counts, "<u2").tobytes()),
            ("index_offset", 4, b"".join(index)),
            ("value_offset", 4, b"".join(values)),
            ("palette_offset", 4, b"" if palette is None else palette.tobytes()),
        ],
    )


@dataclass(frozen=True)
class UnpackedWeights:
    """The contents of a blob.

    Attributes:
        layout: of the blob.
        weights: [rows, cols].
        bias: [rows], as stored: folded in row-major int8 blobs.
        multiplier: int32[rows], Q0.31; empty for float32.
        shift: int8[rows]; empty for float32.
    """

    layout: Layout
    weights: npt.NDArray[Any]
    bias: npt.NDArray[Any]
    multiplier: npt.NDArray[np.int32]
    shift: npt.NDArray[np.int8]


def read_header(blob: bytes) -> np.void:
    """Return the header of a blob, a record of `format.HEADER`.

    Raises:
        ValueError: `blob` is too short or has another format.
    """
    if len(blob) < HEADER.itemsize:
        raise ValueError(f"blob has {len(blob)} bytes, its header alone has {HEADER.itemsize}")
    header: np.void = np.frombuffer(blob, HEADER, count=1)[0]
    if header["magic"] != MAGIC or header["version"] != VERSION:
        raise ValueError(f"not a packed weight blob of version {VERSION}")
    return header


def layout_of(header: np.void) -> Layout:
    """Return the layout in a header."""
    return Layout(
        index_encoding=IndexEncoding(int(header["index_encoding"])),
        block_rows=int(header["block_rows"]),
        block_cols=int(header["block_cols"]),
        count_multiple=int(header["count_multiple"]),
        value_type=ValueType(int(header["value_type"])),
        major=Major(int(header["major"])),
        value_order=ValueOrder(int(header["value_order"])),
    )


def group_counts(blob: bytes) -> npt.NDArray[np.int64]:
    """Return the number of stored blocks of each group of a valid blob."""
    header = read_header(blob)
    size, block = ("rows", "block_rows") if header["major"] == Major.ROW else ("cols", "block_cols")
    groups = -(-int(header[size]) // int(header[block]))
    counts = np.frombuffer(blob, "<u2", groups, int(header["counts_offset"]))
    return counts.astype(np.int64)


def unpack(blob: bytes) -> UnpackedWeights:
    """Return the contents of a blob that `native.validate` accepts."""
    header = read_header(blob)
    layout = layout_of(header)
    rows, cols = int(header["rows"]), int(header["cols"])
    offset = {name: int(header[name]) for name in HEADER.names or () if name.endswith("_offset")}
    grid = (-(-rows // layout.block_rows), -(-cols // layout.block_cols))
    groups, per_group = grid if layout.major is Major.ROW else grid[::-1]

    counts = group_counts(blob)
    stream = blob[offset["value_offset"] :]
    blocks = value_streams.decode(stream, counts, layout, blob[offset["palette_offset"] :])
    tiles = np.zeros((groups, per_group, layout.block_rows, layout.block_cols), blocks.dtype)
    stored = index_streams.decode(blob[offset["index_offset"] :], counts, per_group, layout)
    for group, indices, start in zip(tiles, stored, np.cumsum(counts) - counts, strict=True):
        # Padding repeats an index with zeros: the sum keeps the block before it.
        np.add.at(group, indices, blocks[start : start + len(indices)])
    if layout.major is Major.COLUMN:
        tiles = tiles.transpose(1, 0, 2, 3)
    padded = tiles.transpose(0, 2, 1, 3).reshape(grid[0] * layout.block_rows, -1)
    is_float = layout.value_type is ValueType.FLOAT32
    scaled_rows = 0 if is_float else rows
    return UnpackedWeights(
        layout=layout,
        weights=padded[:rows, :cols],
        bias=np.frombuffer(blob, "<f4" if is_float else "<i4", rows, offset["bias_offset"]),
        multiplier=np.frombuffer(blob, "<i4", scaled_rows, offset["multiplier_offset"]),
        shift=np.frombuffer(blob, np.int8, scaled_rows, offset["shift_offset"]),
    )


def _tiles(weights: npt.NDArray[Any], layout: Layout) -> npt.NDArray[Any]:
    """Return `weights` [rows, cols] as [group, tile, block_rows, block_cols], zero-padded."""
    rows, cols = weights.shape
    padded = np.pad(weights, ((0, -rows % layout.block_rows), (0, -cols % layout.block_cols)))
    height, width = padded.shape[0] // layout.block_rows, padded.shape[1] // layout.block_cols
    grid = padded.reshape(height, layout.block_rows, width, layout.block_cols)
    by_row = grid.transpose(0, 2, 1, 3)
    return by_row if layout.major is Major.ROW else by_row.transpose(1, 0, 2, 3)


def _row_sections(layer: PackableWeights, layout: Layout) -> list[tuple[str, int, bytes]]:
    if isinstance(layer, FloatWeights):
        bias, multiplier, shift = layer.bias.astype("<f4").tobytes(), b"", b""
    else:
        folded = layout.major is Major.ROW
        bias = (layer.folded_bias() if folded else layer.bias).astype("<i4").tobytes()
        multiplier = layer.multiplier.astype("<i4").tobytes()
        shift = layer.shift.astype(np.int8).tobytes()
    return [
        ("bias_offset", 4, bias),
        ("multiplier_offset", 4, multiplier),
        ("shift_offset", 1, shift),
    ]


def _fills_gaps(weights: npt.NDArray[np.int8], layout: Layout) -> bool:
    """Return True if the palette of `weights` can fill gaps wider than the largest step."""
    if layout.index_encoding is not IndexEncoding.DELTA8:
        return True
    if value_streams.opposites(value_streams.make_palette(weights)) is not None:
        return True
    return not any(index_streams.has_wide_gaps(row != 0) for row in weights)


def _header(layer: PackableWeights, layout: Layout, blocks: int) -> npt.NDArray[np.void]:
    header = np.zeros((), HEADER)
    header["magic"], header["version"] = MAGIC, VERSION
    header["value_type"], header["index_encoding"] = layout.value_type, layout.index_encoding
    header["major"], header["value_order"] = layout.major, layout.value_order
    header["block_rows"], header["block_cols"] = layout.block_rows, layout.block_cols
    header["count_multiple"] = layout.count_multiple
    header["flags"] = FLAG_BIAS_FOLDED if layout.major is Major.ROW else 0
    if isinstance(layer, FullyConnectedWeights) and layer.is_bounded():
        header["flags"] |= FLAG_BOUNDED
    header["rows"], header["cols"] = layer.weights.shape
    header["blocks"] = blocks
    return header


def _assemble(header: npt.NDArray[np.void], sections: list[tuple[str, int, bytes]]) -> bytes:
    """Return the blob: the header with all offsets set, and the aligned sections."""
    body = bytearray(HEADER.itemsize)
    for key, alignment, data in sections:
        body.extend(bytes(-len(body) % alignment))
        header[key] = len(body)
        body.extend(data)
    header["bytes"] = len(body)
    body[: HEADER.itemsize] = header.tobytes()
    return bytes(body)
