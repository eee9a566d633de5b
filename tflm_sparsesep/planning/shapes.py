"""Shapes of a .tflite model's layers, or why no form applies to them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

from tflm_sparsesep.converters.blob.format import MAX_DIM
from tflm_sparsesep.converters.blob.separable_format import Padding
from tflm_sparsesep.converters.blob.sparse_conv_format import MAX_KERNEL
from tflm_sparsesep.converters.cost.depthwise_conv import DepthwiseShape
from tflm_sparsesep.converters.cost.other_operators import OtherOperator
from tflm_sparsesep.converters.cost.shapes import ConvShape, MatrixShape
from tflm_sparsesep.converters.errors import ModelError
from tflm_sparsesep.converters.layers import depthwise
from tflm_sparsesep.converters.layers.matrix import is_matrix_operator, read_matrix_layer
from tflm_sparsesep.converters.layers.other_operator import read as read_other
from tflm_sparsesep.converters.layers.quantized import (
    Unsupported,
    check_operator,
    check_structure,
    layer_name,
    parameter_bytes,
    read_numbers,
    read_weights,
)
from tflm_sparsesep.converters.rewrite import check
from tflm_sparsesep.converters.tflite import editor
from tflm_sparsesep.converters.tflite.dense_constants import make_dense
from tflm_sparsesep.converters.tflite.editor import BuiltinOperator, Operator, TensorType

Shape = MatrixShape | ConvShape | DepthwiseShape

# Of what is int8, or will be.
_TYPES = (TensorType.INT8, TensorType.FLOAT32)

GROUPED = "grouped: no sparse kernel"
TOO_LARGE = "more rows, columns or taps than the packed format holds"


@dataclass(frozen=True)
class LayerShape:
    """One layer with weights.

    Attributes:
        name: of the layer.
        op: its operator in the .tflite file.
        shape: None if no form applies.
        size: of its weights, as users write it.
        dense_bytes: of weights and bias in int8.
        reason: why `shape` is None.
    """

    name: str
    op: str
    shape: Shape | None
    size: str
    dense_bytes: int
    reason: str = ""


class ModelShapes(NamedTuple):
    """The layers with weights of a model, in execution order, and its other operators."""

    layers: list[LayerShape]
    others: list[OtherOperator]


def shapes_of(data: bytes, name: str) -> ModelShapes:
    """Return the operators of a .tflite file; float32 ones as the int8 ones that they become.

    Args:
        data: the bytes of the file.
        name: what errors call it.

    Raises:
        ModelError: the model is not usable, or was rewritten already.
    """
    model = editor.read(data, name=name)
    make_dense(model)
    try:
        check(model)
        layers = [_shape_of(op) for op in model.operators if _matrices(op)]
    except ModelError as error:
        raise ModelError(f"{name}: {error}") from None
    others = [read_other(op, _TYPES) for op in model.operators if not _matrices(op)]
    return ModelShapes(layers, others)


def _matrices(op: Operator) -> list[editor.Tensor]:
    found = [t for t in op.inputs[1:] if t is not None]
    return [t for t in found if t.is_constant and len(t.shape) > 1 and t.type != TensorType.INT32]


def _shape_of(op: Operator) -> LayerShape:
    check_structure(op)
    shape: Shape | None = None
    reason = ""
    size = "x".join(map(str, op.weights.shape)) if op.inputs[1] is not None else ""
    try:
        if op.builtin_code == BuiltinOperator.FULLY_CONNECTED:
            shape = read_matrix_layer(op).shape
        elif op.builtin_code == BuiltinOperator.CONV_2D:
            shape = _convolution(op)
        elif op.builtin_code == BuiltinOperator.DEPTHWISE_CONV_2D:
            shape = depthwise.shape_of(op)
        else:
            reason = f"no kernel of ours for {op.op_name}"
    except Unsupported as unsupported:
        reason = str(unsupported)
    weights = sum(math.prod(t.shape) for t in _matrices(op))
    return LayerShape(
        layer_name(op), op.op_name, shape, str(shape or size), weights + parameter_bytes(op), reason
    )


def _convolution(op: Operator) -> MatrixShape | ConvShape:
    check_operator(op)
    weights, inputs = read_weights(op), op.input(0).shape
    units, height, width, channels = weights.shape
    if is_matrix_operator(op):
        return read_matrix_layer(op).shape
    options = op.options
    if options is None or options.padding not in (0, 1) or len(inputs) != 4:
        raise Unsupported("padding or image of a kind not known here")
    if inputs[-1] != channels:
        raise Unsupported(GROUPED)
    steps = (*op.strides, *op.dilation)
    if max(units, weights[0].size) > MAX_DIM or max(height, width, *steps) > MAX_KERNEL:
        raise Unsupported(TOO_LARGE)
    shape = ConvShape(
        weights.shape,
        inputs,
        op.outputs[0].shape,
        op.strides,
        Padding(options.padding),
        parameter_bytes(op),
        op.dilation,
    )
    read_numbers(op, weights.reshape(units, -1))
    return shape
