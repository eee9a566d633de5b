"""Layers that multiply vectors by a matrix, read from their operators.

FULLY_CONNECTED multiplies the last dimension of its input, a 1x1 CONV_2D every pixel, and a CONV_2D
along one axis every window (`windows`). SPARSE_FULLY_CONNECTED replaces all of them. Another kind
of operator needs one more reader in `_READERS`.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy.typing as npt
from ai_edge_litert import schema_py_generated as schema

from tflm_sparsesep.converters.blob.format import MAX_DIM, FullyConnectedOptions
from tflm_sparsesep.converters.blob.pack import PackableWeights
from tflm_sparsesep.converters.cost.shapes import MatrixShape
from tflm_sparsesep.converters.layers.quantized import (
    Unsupported,
    check_operator,
    parameter_bytes,
    read_numbers,
    read_weights,
)
from tflm_sparsesep.converters.layers.windows import input_step
from tflm_sparsesep.converters.tflite.editor import BuiltinOperator, Operator


@dataclass(frozen=True)
class MatrixLayer:
    """A layer that SPARSE_FULLY_CONNECTED can compute.

    Attributes:
        weights: int8 or float32 numbers, [rows, cols].
        options: zero points, activation limits, and the step between windows.
        shape: of the matrix, with the number of vectors.
    """

    weights: PackableWeights
    options: FullyConnectedOptions
    shape: MatrixShape


def is_matrix_operator(op: Operator) -> bool:
    """Return True for operators that `read_matrix_layer` reads.

    Convolutions whose windows are in several pieces are left to `convolution`.
    """
    if op.builtin_code != BuiltinOperator.CONV_2D:
        return op.builtin_code in _READERS
    weights = op.inputs[1] if len(op.inputs) > 1 else None
    if weights is None or op.options is None or len(weights.shape) != 4:
        return True
    is_pointwise = (*weights.shape[1:3], *op.strides) == (1, 1, 1, 1)
    return is_pointwise or input_step(op) is not None


def read_matrix_layer(op: Operator) -> MatrixLayer:
    """Return the layer that `op` computes.

    Raises:
        Unsupported: no kernel computes this layer; the message is the reason.
        ModelError: the operator has an unknown version, or a shape that no runtime runs.
    """
    if op.builtin_code not in _READERS:
        raise Unsupported(f"no sparse kernel for {op.op_name}")
    check_operator(op)
    return _READERS[op.builtin_code](op)


def _read_fully_connected(op: Operator) -> MatrixLayer:
    weights = read_weights(op)
    default = schema.FullyConnectedOptionsWeightsFormat.DEFAULT
    if op.options is not None and op.options.weightsFormat != default:
        raise Unsupported("weights are shuffled (SHUFFLED4x16INT8)")
    return _on_last_dimension(op, weights, taps=0)


def _read_convolution(op: Operator) -> MatrixLayer:
    step = input_step(op)
    if step is not None:
        return _on_windows(op, read_weights(op), step)
    weights = read_weights(op)
    rows, height, width, cols = weights.shape
    if (height, width) != (1, 1):
        raise Unsupported(f"no sparse kernel for a {height}x{width} convolution")
    if op.options is not None and op.strides != (1, 1):
        raise Unsupported(f"no sparse kernel for stride {op.strides[0]}x{op.strides[1]}")
    if op.input(0).shape[-1:] != (cols,):
        raise Unsupported("no sparse kernel for grouped convolutions")
    return _on_last_dimension(op, weights.reshape(rows, cols), taps=1)


_READERS: dict[int, Callable[[Operator], MatrixLayer]] = {
    BuiltinOperator.FULLY_CONNECTED: _read_fully_connected,
    BuiltinOperator.CONV_2D: _read_convolution,
}


def _on_last_dimension(op: Operator, weights: npt.NDArray[Any], *, taps: int) -> MatrixLayer:
    """Read a layer whose vectors are contiguous, one after the other."""
    rows, cols = weights.shape
    _check_size(rows, cols)
    inputs, output = op.input(0).shape, op.outputs[0].shape
    elements = math.prod(inputs)
    if elements % cols != 0 or math.prod(output) != elements // cols * rows:
        raise Unsupported(
            f"input {list(inputs)} and output {list(output)} do not fit {rows}x{cols} weights"
        )
    layer, options = read_numbers(op, weights)
    rank = len(output)
    shape = MatrixShape(rows, cols, elements // cols, taps, parameter_bytes(op), rank=rank)
    return MatrixLayer(layer, options, shape)


def _on_windows(op: Operator, weights: npt.NDArray[Any], step: int) -> MatrixLayer:
    """Read a convolution whose windows are contiguous, `step` elements apart."""
    rows, cols = len(weights), math.prod(weights.shape[1:])
    _check_size(rows, cols, step)
    elements = math.prod(op.input(0).shape)
    if elements < cols or (step == cols and elements % cols):
        raise Unsupported(f"windows of {cols} elements do not divide an input of {elements}")
    layer, params = read_numbers(op, weights.reshape(rows, cols))
    options = dataclasses.replace(params, input_step=step)
    windows = options.windows(elements, cols)
    if windows * rows != math.prod(op.outputs[0].shape):
        raise Unsupported(f"output {list(op.outputs[0].shape)} does not fit the windows")
    taps, lines = math.prod(weights.shape[1:3]), math.prod(op.outputs[0].shape[:2])
    shape = MatrixShape(rows, cols, windows, taps, parameter_bytes(op), lines)
    return MatrixLayer(layer, options, shape)


def _check_size(rows: int, cols: int, step: int = 0) -> None:
    if max(rows, cols, step) > MAX_DIM:
        raise Unsupported(
            f"{rows}x{cols} weights, the packed format holds {MAX_DIM} rows and columns"
        )
