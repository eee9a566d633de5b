"""Small .tflite models of SPARSE_FULLY_CONNECTED and SPARSE_CONV_2D, for tests."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tests.support.sparse_convs import ConvCase
from tflm_sparsesep.converters import op_names
from tflm_sparsesep.converters.blob.format import Layout
from tflm_sparsesep.converters.blob.layouts import LAYOUTS
from tflm_sparsesep.converters.blob.pack import pack
from tflm_sparsesep.converters.tflite import editor
from tflm_sparsesep.converters.tflite.editor import (
    Model,
    Operator,
    Quantization,
    Subgraph,
    Tensor,
    TensorType,
)
from tflm_sparsesep.device.synthetic_layers import LayerCase


def sparse_model(
    case: LayerCase[Any],
    *,
    layout: Layout = LAYOUTS[0],
    input_shape: Sequence[int] | None = None,
    blob: bytes | None = None,
    options: bytes | None = None,
) -> bytes:
    """A model of one layer; `blob` and `options` replace the ones that fit `case`.

    The input is [batch, cols] unless `input_shape` spreads the batch differently.
    """
    batch, cols = case.inputs.shape
    shape = (batch, cols) if input_shape is None else tuple(input_shape)
    entering = _activation("input", shape, case, case.options.input_zero_point)
    leaving = _activation(
        "output", (*shape[:-1], len(case.layer.bias)), case, case.options.output_zero_point
    )
    packed = pack(case.layer, layout) if blob is None else blob
    return _one_operator(
        op_names.SPARSE_FULLY_CONNECTED,
        entering,
        packed,
        leaving,
        case.options.to_bytes() if options is None else options,
    )


def sparse_conv_model(
    conv: ConvCase, layout: Layout, *, blob: bytes | None = None, options: bytes | None = None
) -> bytes:
    """A model of one SPARSE_CONV_2D; `blob` replaces the one that fits `conv`."""
    case = conv.case
    entering = _activation("input", conv.images.shape, case, case.options.input_zero_point)
    leaving = _activation("output", conv.output_shape, case, case.options.output_zero_point)
    packed = conv.blob(layout) if blob is None else blob
    return _one_operator(op_names.SPARSE_CONV_2D, entering, packed, leaving, options)


def _one_operator(
    name: str, entering: Tensor, blob: bytes, leaving: Tensor, options: bytes | None
) -> bytes:
    operator = Operator.custom(
        name,
        [entering, Tensor.constant("packed", np.frombuffer(blob, np.uint8))],
        [leaving],
        custom_options=options,
    )
    main = Subgraph("main", inputs=[entering], outputs=[leaving], operators=[operator])
    return editor.write(Model([main]))


def _activation(name: str, shape: Sequence[int], case: LayerCase[Any], zero_point: int) -> Tensor:
    if case.is_float:
        return Tensor(name, shape, TensorType.FLOAT32)
    return Tensor(name, shape, TensorType.INT8, quantization=Quantization(0.5, zero_point))
