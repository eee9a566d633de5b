"""Packed weights -> pages of at most a given size, each a blob of consecutive rows.

Given:   blob of rows x cols
Result:  pages p1, p2, ...: the outputs of blob are those of p1, p2, ..., concatenated

Every page has the layout of the layer, so that the same kernel runs it, and holds as many whole
rows of blocks as fit.
"""

from __future__ import annotations

from bisect import bisect_right

import numpy as np

from tflm_sparsesep.converters.blob.format import Major
from tflm_sparsesep.converters.blob.pack import (
    FloatWeights,
    FullyConnectedWeights,
    PackableWeights,
    UnpackedWeights,
    pack,
    unpack,
)
from tflm_sparsesep.converters.blob.paged_format import PAGE_ALIGNMENT, Page, Table, checksum
from tflm_sparsesep.converters.blob.size import size_of
from tflm_sparsesep.converters.errors import ConfigError


def page_weights(
    blob: bytes, *, page_bytes: int, input_zero_point: int, offset: int = 0, name: str = "layer"
) -> tuple[bytes, bytes]:
    """Return the table of contents of a valid blob, and its concatenated pages.

    `input_zero_point` is that of the operator's options, `offset` that of the first page in
    external memory, `name` that of the layer in errors. Raises ConfigError if one row of blocks
    does not fit into a page.
    """
    unpacked = unpack(blob)
    layout = unpacked.layout
    rows, cols = unpacked.weights.shape
    # The search needs few counts beyond the average that fits.
    most = max(1, 2 * page_bytes * rows // (len(blob) * layout.block_rows))
    pages, contents = [], []
    first = 0
    while first < rows:
        counts = range(layout.block_rows, rows - first + layout.block_rows, layout.block_rows)

        def size(count: int, first: int = first) -> int:
            blob_bytes = size_of(unpacked.weights[first : first + count], layout).bytes
            return blob_bytes + -blob_bytes % PAGE_ALIGNMENT

        fitting = bisect_right(counts[:most], page_bytes, key=size)
        if fitting == 0:
            raise ConfigError(
                f"page_bytes is {page_bytes:,}, layer {name!r} needs at least "
                f"{size(layout.block_rows):,} for {layout.block_rows} x {cols} weights from row "
                f"{first} on"
            )
        count = min(counts[fitting - 1], rows - first)
        part = _rows_of(unpacked, slice(first, first + count), input_zero_point)
        page = pack(part, layout)
        page += bytes(-len(page) % PAGE_ALIGNMENT)
        pages.append(Page(len(page), count, checksum(page)))
        contents.append(page)
        first += count
    return Table(layout, cols, offset, tuple(pages)).to_bytes(), b"".join(contents)


def _rows_of(unpacked: UnpackedWeights, rows: slice, input_zero_point: int) -> PackableWeights:
    """Return the layer that `pack` turns into a page of these rows."""
    weights, bias = unpacked.weights[rows], unpacked.bias[rows]
    if weights.dtype != np.int8:
        return FloatWeights(weights, bias)
    # The bias of a row-major blob is already folded: with zero_point 0, `pack` leaves it as it is.
    zero_point = 0 if unpacked.layout.major is Major.ROW else input_zero_point
    scales = unpacked.multiplier[rows], unpacked.shift[rows]
    return FullyConnectedWeights(weights, bias, *scales, zero_point)
