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

    Args:
        blob: packed weights.
        page_bytes: the largest page.
        input_zero_point: of the operator's options.
        offset: of the first page in external memory.
        name: the name of the layer in errors.

    Raises:
        ConfigError: one row of blocks does not fit into a page.
    """
    unpacked = unpack(blob)
    layer, layout = _layer_of(unpacked, input_zero_point), unpacked.layout
    rows, cols = layer.weights.shape
    # The search needs few counts beyond the average that fits.
    most = max(1, 2 * page_bytes * rows // (len(blob) * layout.block_rows))
    pages, contents = [], []
    first = 0
    while first < rows:
        counts = range(layout.block_rows, rows - first + layout.block_rows, layout.block_rows)

        def size(count: int, first: int = first) -> int:
            blob_bytes = size_of(layer.weights[first : first + count], layout).bytes
            return blob_bytes + -blob_bytes % PAGE_ALIGNMENT

        fitting = bisect_right(counts[:most], page_bytes, key=size)
        if fitting == 0:
            raise ConfigError(
                f"page_bytes is {page_bytes:,}, layer {name!r} needs at least "
                f"{size(layout.block_rows):,} for {layout.block_rows} x {cols} weights from row "
                f"{first} on"
            )
        count = min(counts[fitting - 1], rows - first)
        page = _page(layer, unpacked, first, count)
        pages.append(Page(len(page), count, checksum(page)))
        contents.append(page)
        first += count
    return Table(layout, cols, offset, tuple(pages)).to_bytes(), b"".join(contents)


def _page(layer: PackableWeights, unpacked: UnpackedWeights, first: int, count: int) -> bytes:
    """Return the page of `count` rows from `first` on, padded to its alignment."""
    blob = pack(_rows_of(layer, slice(first, first + count)), unpacked.layout)
    return blob + bytes(-len(blob) % PAGE_ALIGNMENT)


def _rows_of(layer: PackableWeights, rows: slice) -> PackableWeights:
    if isinstance(layer, FloatWeights):
        return FloatWeights(layer.weights[rows], layer.bias[rows])
    return FullyConnectedWeights(
        weights=layer.weights[rows],
        bias=layer.bias[rows],
        multiplier=layer.multiplier[rows],
        shift=layer.shift[rows],
        input_zero_point=layer.input_zero_point,
    )


def _layer_of(unpacked: UnpackedWeights, input_zero_point: int) -> PackableWeights:
    """Return the layer that `pack` turns into the blob."""
    if unpacked.weights.dtype != np.int8:
        return FloatWeights(unpacked.weights, unpacked.bias)
    # The bias of a row-major blob is already folded: with zero_point 0, `pack` leaves it as it is.
    is_folded = unpacked.layout.major is Major.ROW
    return FullyConnectedWeights(
        weights=unpacked.weights,
        bias=unpacked.bias,
        multiplier=unpacked.multiplier,
        shift=unpacked.shift,
        input_zero_point=0 if is_folded else input_zero_point,
    )
