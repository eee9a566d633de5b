"""Convolutions over windows in several pieces, read out of the operators that compute them.

SPARSE_CONV_2D runs them. Those whose windows are vectors side by side, or in one piece, are
`matrix.py`'s: SPARSE_FULLY_CONNECTED runs them without copying anything.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from tflm_sparsesep.converters.blob.format import MAX_DIM, FullyConnectedOptions
from tflm_sparsesep.converters.blob.pack import PackableWeights
from tflm_sparsesep.converters.blob.pack_sparse_conv import ConvWindow, to_columns
from tflm_sparsesep.converters.blob.separable_format import Padding
from tflm_sparsesep.converters.cost import sparse_conv
from tflm_sparsesep.converters.layers.matrix import is_matrix_operator
from tflm_sparsesep.converters.layers.quantized import (
    Unsupported,
    check_operator,
    read_numbers,
    read_weights,
)
from tflm_sparsesep.converters.tflite.editor import BuiltinOperator, Operator


@dataclass(frozen=True)
class ConvLayer:
    """A layer that SPARSE_CONV_2D can compute.

    Attributes:
        window: the geometry.
        weights: int8 or float32 numbers [units, cols], columns in the order of the blob.
        options: zero points and activation limits.
        inputs: [batch, height, width, channels].
    """

    window: ConvWindow
    weights: PackableWeights
    options: FullyConnectedOptions
    inputs: tuple[int, ...]

    @property
    def units(self) -> int:
        """Output channels."""
        return int(self.weights.weights.shape[0])

    @property
    def pixels(self) -> int:
        """Of the output, of all images."""
        return math.prod(self.window.output_shape(self.inputs, self.units)[:3])

    @property
    def dtype(self) -> str:
        """Of the weights: int8 or float32."""
        return str(self.weights.weights.dtype.name)

    def dense_instructions(self, target: str) -> int:
        """Return the instructions of the dense operator."""
        return sparse_conv.dense_instructions(
            target, self.window, self.inputs, self.units, self.dtype
        )


def is_convolution(op: Operator) -> bool:
    """Return True for a CONV_2D that `matrix` does not read."""
    return op.builtin_code == BuiltinOperator.CONV_2D and not is_matrix_operator(op)


def read_convolution(op: Operator) -> ConvLayer:
    """Return the layer that a CONV_2D computes.

    Raises:
        Unsupported: no kernel computes this layer; the message is the reason.
        ModelError: the operator has an unknown version, or a shape that no runtime executes.
    """
    check_operator(op)
    weights, inputs = read_weights(op), op.input(0).shape
    units, height, width, channels = weights.shape
    if op.options is None or op.options.padding not in (0, 1) or len(inputs) != 4:
        raise Unsupported("padding or image of a kind not known here")
    if inputs[3] != channels:
        raise Unsupported("no sparse kernel for grouped convolutions")
    try:
        window = ConvWindow(
            (height, width), channels, op.strides, op.dilation, Padding(op.options.padding)
        )
    except ValueError as error:
        raise Unsupported(str(error)) from None
    if max(units, window.cols) > MAX_DIM:
        raise Unsupported(
            f"{units}x{window.cols} weights, the packed format holds {MAX_DIM} each way"
        )
    expected, found = window.output_shape(inputs, units), op.outputs[0].shape
    if tuple(found) != expected or 0 in expected:
        raise Unsupported(f"output {list(found)} does not fit the windows: {list(expected)}")
    layer, options = read_numbers(op, to_columns(weights))
    return ConvLayer(window, layer, options, inputs)
