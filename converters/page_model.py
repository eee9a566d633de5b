"""Packed layers of a model -> pages in external memory.

Given:   SPARSE_FULLY_CONNECTED(input, blob uint8[bytes]) -> output
Result:  SPARSE_FULLY_CONNECTED(input, table uint8[32 + 12 * pages]) -> output
         and an image of the external memory with the pages of all these layers

The same of SPARSE_CONV_2D, whose table stands behind the 48 bytes that say what a window is.

A layer whose blob fits into one page stays in the model.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tflm_sparsesep.converters import native, op_names
from tflm_sparsesep.converters.blob.pack_sparse_conv import unpack_window
from tflm_sparsesep.converters.blob.page_weights import page_weights
from tflm_sparsesep.converters.blob.paged_format import smallest_page
from tflm_sparsesep.converters.errors import ConfigError, ModelError
from tflm_sparsesep.converters.layers.packed import blob_of, options_of, stored_weights
from tflm_sparsesep.converters.layers.quantized import layer_name
from tflm_sparsesep.converters.tflite import editor
from tflm_sparsesep.converters.tflite.editor import Operator, Tensor


@dataclass(frozen=True)
class PagedModel:
    """The model with tables of contents, and the image of the external memory."""

    tflite: bytes
    external: bytes


def page_model(data: bytes, *, page_bytes: int, name: str = "model") -> PagedModel:
    """Move the weights of sparse layers into pages of at most `page_bytes`.

    A page needs as many bytes of arena during its layer. `name` is that of the model in errors.

    Raises:
        ModelError: the bytes are not a usable model, or the weights are damaged or already paged.
        ConfigError: a row of blocks of a layer does not fit into a page.
    """
    if page_bytes <= smallest_page():
        raise ConfigError(f"page_bytes is {page_bytes}, accepted: more than {smallest_page()}")
    model = editor.read(data, name=name)
    external = bytearray()
    for subgraph in model.subgraphs:
        for op in list(subgraph.operators):
            if op.op_name not in (op_names.SPARSE_FULLY_CONNECTED, op_names.SPARSE_CONV_2D):
                continue
            head, zero_point = _checked(op, name)
            weights = stored_weights(op)
            if len(weights) <= page_bytes:
                continue
            table, pages = page_weights(
                weights,
                page_bytes=page_bytes,
                input_zero_point=zero_point,
                offset=len(external),
                name=layer_name(op),
            )
            external += pages
            subgraph.replace(op, _with_weights(op, head + table))
    editor.prune_unused(model)
    return PagedModel(editor.write(model), bytes(external))


def _checked(op: Operator, name: str) -> tuple[bytes, int]:
    """Return what stands before the weights of a valid operator, and its input zero point."""
    blob = blob_of(op)
    is_conv = op.op_name == op_names.SPARSE_CONV_2D
    reason = native.validate_sparse_conv(blob) if is_conv else native.validate(blob)
    if reason is not None:
        raise ModelError(f"{name}: layer {layer_name(op)!r}: {reason}")
    options = unpack_window(blob)[1] if is_conv else options_of(op)
    return blob[: len(blob) - len(stored_weights(op))], options.input_zero_point


def _with_weights(op: Operator, table: bytes) -> Operator:
    pages = Tensor.constant(f"{op.weights.name}/pages", np.frombuffer(table, np.uint8))
    return Operator.custom(
        op.op_name,
        [op.inputs[0], pages, *op.inputs[2:]],
        op.outputs,
        custom_options=op.custom_options or b"",
    )
