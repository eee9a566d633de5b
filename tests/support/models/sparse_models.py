"""Small .tflite models of SPARSE_FULLY_CONNECTED and SPARSE_CONV_2D, for tests."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
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
    conv: ConvCase,
    layout: Layout,
    *,
    blob: bytes | None = None,
    options: bytes | None = None,
    other: Tensor | None = None,
) -> bytes:
    """A model of one SPARSE_CONV_2D; `blob` replaces the one that fits `conv`.

    `other` is the operator's third input, and the model's second one unless it is a constant.
    """
    case = conv.case
    entering = _activation("input", conv.images.shape, case, case.options.input_zero_point)
    leaving = _activation("output", conv.output_shape, case, case.options.output_zero_point)
    packed = conv.blob(layout) if blob is None else blob
    return _one_operator(op_names.SPARSE_CONV_2D, entering, packed, leaving, options, other)


def second_feature_map(conv: ConvCase) -> Tensor:
    """The int8 tensor that a residual of `conv` adds; its quantization is in the blob."""
    return Tensor("other", conv.output_shape, TensorType.INT8, quantization=Quantization(0.5, 0))


def residual_chain(conv: ConvCase, blob: bytes, fused: bytes) -> bytes:
    """A model that runs `blob` three times, and `fused` on that and on what the first made.

    `conv` is a convolution whose outputs have the shape of its inputs.
    """
    shape = conv.output_shape
    tensors = [
        _activation(f"tensor{i}", shape, conv.case, conv.case.options.output_zero_point)
        for i in range(5)
    ]
    operators = []
    for x, y in itertools.pairwise(tensors):
        last = y is tensors[-1]
        packed = Tensor.constant("packed", np.frombuffer(fused if last else blob, np.uint8))
        read = [x, packed, tensors[1]] if last else [x, packed]
        operators.append(Operator.custom(op_names.SPARSE_CONV_2D, read, [y]))
    main = Subgraph("main", inputs=tensors[:1], outputs=tensors[-1:], operators=operators)
    return editor.write(Model([main]))


def misfits(conv: ConvCase) -> Iterator[Tensor]:
    """Tensors that a residual of `conv` cannot add."""
    fitting = second_feature_map(conv)
    batch, height, width, units = fitting.shape
    for kind in (TensorType.FLOAT32, TensorType.UINT8, TensorType.INT32):
        yield Tensor("other", fitting.shape, kind)
    for shape in (
        (batch, height, width, units + 1),
        (batch, height + 1, width, units),
        (batch, height, width - 1, units),
        (batch + 1, height, width, units),
        (batch, height, width * units),
        (1, 1, 1, units),
    ):
        yield Tensor("other", shape, fitting.type, quantization=fitting.quantization)
    yield Tensor.constant("other", np.zeros(fitting.shape, np.int8))


def _one_operator(
    name: str,
    entering: Tensor,
    blob: bytes,
    leaving: Tensor,
    options: bytes | None,
    other: Tensor | None = None,
) -> bytes:
    packed = Tensor.constant("packed", np.frombuffer(blob, np.uint8))
    read = [entering, packed] if other is None else [entering, packed, other]
    operator = Operator.custom(name, read, [leaving], custom_options=options)
    entering_all = [tensor for tensor in read if not tensor.is_constant]
    main = Subgraph("main", inputs=entering_all, outputs=[leaving], operators=[operator])
    return editor.write(Model([main]))


def _activation(name: str, shape: Sequence[int], case: LayerCase[Any], zero_point: int) -> Tensor:
    if case.is_float:
        return Tensor(name, shape, TensorType.FLOAT32)
    return Tensor(name, shape, TensorType.INT8, quantization=Quantization(0.5, zero_point))
