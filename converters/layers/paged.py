"""Operators whose weights are pages in external memory, read back from a model."""

from __future__ import annotations

import math

from tflm_sparsesep.converters import native, op_names
from tflm_sparsesep.converters.blob.pack_sparse_conv import ConvWindow, unpack_window
from tflm_sparsesep.converters.blob.paged_format import PAGE_ALIGNMENT, Table
from tflm_sparsesep.converters.blob.sparse_conv_format import HEADER
from tflm_sparsesep.converters.errors import ModelError
from tflm_sparsesep.converters.layers.packed import batch_of, blob_of, stored_weights
from tflm_sparsesep.converters.layers.quantized import layer_name
from tflm_sparsesep.converters.tflite.editor import Operator


def paged_weights(op: Operator) -> Table:
    """Return the table of contents of a paged operator.

    Raises:
        ModelError: the table is damaged.
    """
    try:
        return Table.from_bytes(stored_weights(op))
    except ValueError as error:
        raise ModelError(f"layer {layer_name(op)!r}: {error}") from None


def paged_batch(op: Operator) -> int:
    """Return the input vectors of one inference of a paged operator, output pixels of convolutions.

    Raises:
        ModelError: the operator is damaged.
    """
    table = paged_weights(op)
    if op.op_name != op_names.SPARSE_CONV_2D:
        return batch_of(op, table.cols)
    return math.prod(_window(op).output_shape(op.input(0).shape, table.rows)[:3])


def paged_scratch_bytes(op: Operator, *, target: str) -> int:
    """Return the bytes of arena that a paged operator uses, with one page in memory.

    Raises:
        ConfigError: the target is unknown or has no kernel for the layout.
        ModelError: the operator is damaged.
    """
    table = paged_weights(op)
    if op.op_name != op_names.SPARSE_CONV_2D:
        headers = table.page_headers()
        kernel = max(native.scratch_bytes(h, target=target, is_header=True) for h in headers)
        return table.largest_page + kernel
    head, (_, height, width, _) = blob_of(op)[: HEADER.itemsize], op.input(0).shape
    pixels = _window(op).output_size(width, 1)
    line = pixels * max(page.rows for page in table.pages) * table.weight_bytes
    strip = max(
        native.conv_scratch_bytes(head + header, height, width, target=target, is_header=True)
        for header in table.page_headers()
    )
    return HEADER.itemsize + table.largest_page + line + -line % PAGE_ALIGNMENT + strip


def _window(op: Operator) -> ConvWindow:
    """Return the geometry of a paged convolution."""
    try:
        window, _ = unpack_window(blob_of(op))
    except ValueError as error:
        raise ModelError(f"layer {layer_name(op)!r}: {error}") from None
    if len(op.input(0).shape) != 4:
        raise ModelError(f"layer {layer_name(op)!r}: its input is no image")
    return window
