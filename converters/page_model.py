"""Packed layers of a model -> pages in external memory.

Given:   SPARSE_FULLY_CONNECTED(input, blob uint8[bytes]) -> output
Result:  SPARSE_FULLY_CONNECTED(input, table uint8[32 + 12 * pages]) -> output
         and an image of the external memory with the pages of all these layers

A layer whose blob fits into one page stays in the model.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tflm_sparsesep.converters import native, op_names
from tflm_sparsesep.converters.blob.page_weights import page_weights
from tflm_sparsesep.converters.blob.paged_format import smallest_page
from tflm_sparsesep.converters.errors import ConfigError, ModelError
from tflm_sparsesep.converters.layers.packed import blob_of, options_of
from tflm_sparsesep.converters.layers.quantized import layer_name
from tflm_sparsesep.converters.tflite import editor
from tflm_sparsesep.converters.tflite.editor import Operator, Tensor


@dataclass(frozen=True)
class PagedModel:
    """The model with tables of contents, and the image of the external memory."""

    tflite: bytes
    external: bytes


def page_model(data: bytes, *, page_bytes: int, name: str = "model") -> PagedModel:
    """Move the weights of SPARSE_FULLY_CONNECTED layers into pages of at most `page_bytes`.

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
            if op.op_name != op_names.SPARSE_FULLY_CONNECTED:
                continue
            blob = _valid_blob(op, name)
            if len(blob) <= page_bytes:
                continue
            table, pages = page_weights(
                blob,
                page_bytes=page_bytes,
                input_zero_point=options_of(op).input_zero_point,
                offset=len(external),
                name=layer_name(op),
            )
            external += pages
            subgraph.replace(op, _with_weights(op, table))
    editor.prune_unused(model)
    return PagedModel(editor.write(model), bytes(external))


def _valid_blob(op: Operator, name: str) -> bytes:
    blob = blob_of(op)
    reason = native.validate(blob)
    if reason is not None:
        raise ModelError(f"{name}: layer {layer_name(op)!r}: {reason}")
    return blob


def _with_weights(op: Operator, table: bytes) -> Operator:
    weights = op.weights
    return Operator.custom(
        op_names.SPARSE_FULLY_CONNECTED,
        [op.inputs[0], Tensor.constant(f"{weights.name}/pages", np.frombuffer(table, np.uint8))],
        op.outputs,
        custom_options=op.custom_options or b"",
    )
