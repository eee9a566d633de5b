"""Read int8 layers as real numbers, and write real numbers into their constants.

    real weight = scale_r q        real bias = input_scale scale_r q

Weights are flat: a row of a convolution is the kernel [height, width, channels] of one output, a
row of a depthwise convolution the kernel [height, width] of one channel.

`write` keeps what readers of the layer rely on: shapes, dtypes, the number of weight scales, the
quantization of input and output. Constants are replaced, never changed: operators may share them.
"""

from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from tflm_sparsesep.converters.blob.format import FullyConnectedOptions
from tflm_sparsesep.converters.blob.pack import FullyConnectedWeights, PackableWeights
from tflm_sparsesep.converters.factorize.chain import RealLayer
from tflm_sparsesep.converters.factorize.gram import Matrix, Vector
from tflm_sparsesep.converters.layers.depthwise import shape_of
from tflm_sparsesep.converters.layers.matrix import read_matrix_layer
from tflm_sparsesep.converters.layers.quantized import (
    Unsupported,
    read_numbers,
    read_weights,
)
from tflm_sparsesep.converters.tflite.editor import BuiltinOperator, Operator, Quantization, Tensor

MAX_INT8 = 127
DEPTHWISE_AXIS = 3
"""Axis of the channels in the weights of a depthwise convolution."""
_INT32 = np.iinfo(np.int32)

LAYERS = (BuiltinOperator.FULLY_CONNECTED, BuiltinOperator.CONV_2D)
"""Operators that `write` accepts."""
DEPTHWISE = BuiltinOperator.DEPTHWISE_CONV_2D


def read(op: Operator) -> RealLayer:
    """Return weights, bias, limits of the output and geometry in real numbers.

    The limits are those of the activation and of the range of the int8 output.

    Args:
        op: FULLY_CONNECTED, CONV_2D or DEPTHWISE_CONV_2D.

    Raises:
        Unsupported: the layer is not int8, or no kernel covers it.
    """
    if op.builtin_code == BuiltinOperator.FULLY_CONNECTED:
        layer = read_matrix_layer(op)
        return _real_numbers(op, layer.weights, layer.options)
    if op.builtin_code == BuiltinOperator.CONV_2D:
        found, kernel = _real_numbers(op, *_read_conv(op)), op.weights.shape[1:3]
    elif op.builtin_code == DEPTHWISE:
        found, kernel = _read_depthwise(op), op.weights.shape[1:3]
    else:
        raise Unsupported(f"no int8 layer: {op.op_name}")
    return replace(
        found,
        taps=(kernel[0], kernel[1]),
        strides=op.strides,
        same=op.is_same,
        is_depthwise=op.builtin_code == DEPTHWISE,
    )


def _real_numbers(
    op: Operator, layer: PackableWeights, options: FullyConnectedOptions
) -> RealLayer:
    """Convert what was read of `op`. Raises Unsupported where it is not int8."""
    if not isinstance(layer, FullyConnectedWeights):
        raise Unsupported("weights are not int8")
    scales = _scales(op.weights)[:, None]
    output_scale = float(_scales(op.outputs[0])[0])
    return RealLayer(
        layer.weights * scales,
        layer.bias * _scales(op.input(0))[0] * scales[:, 0],
        (options.activation_min - options.output_zero_point) * output_scale,
        (options.activation_max - options.output_zero_point) * output_scale,
    )


def _read_conv(op: Operator) -> tuple[PackableWeights, FullyConnectedOptions]:
    """Raise Unsupported for dilated and grouped convolutions."""
    weights = read_weights(op)
    if op.options is None or op.dilation != (1, 1):
        raise Unsupported("dilated")
    shape = op.input(0).shape
    if weights.ndim != 4 or len(shape) != 4 or shape[3] != weights.shape[3]:
        raise Unsupported("grouped")
    return read_numbers(op, weights.reshape(len(weights), -1))


def _read_depthwise(op: Operator) -> RealLayer:
    """Read the layer with its weights as [channels, taps].

    Raises Unsupported where a channel has several outputs, and for dilation.
    """
    shape, weights = shape_of(op), read_weights(op)
    if shape.multiplier != 1 or shape.dilation != (1, 1):
        raise Unsupported("several outputs for a channel, or dilated")
    rows = np.ascontiguousarray(weights.reshape(-1, shape.channels).T)
    return _real_numbers(op, *read_numbers(op, rows, axis=DEPTHWISE_AXIS))


def write(op: Operator, weights: Matrix, bias: Vector) -> None:
    """Give `op` new constants that hold real numbers [rows, cols], [rows] in int8.

    Scales follow the largest weight, of each row or of all, as there were scales before. A row of
    zeros keeps its scale.
    """
    old = op.weights
    before = _scales(old)
    largest = np.abs(weights).max(axis=1) if len(before) > 1 else np.abs(weights).max(keepdims=True)
    largest = largest.reshape(len(before))
    scales, quantized = quantize_weights(weights, np.where(largest > 0, largest / MAX_INT8, before))
    op.inputs[1] = _replaced(old, quantized.reshape(old.shape), scales)
    bias_scales = float(_scales(op.input(0))[0]) * scales
    _set_bias(op, quantize_bias(bias, bias_scales), bias_scales)


def quantize_weights(weights: Matrix, scales: Vector) -> tuple[Vector, npt.NDArray[np.int8]]:
    """Return scales as stored, and int8 weights [rows, cols]; one scale, or one per row."""
    # float32, as stored: quantization divides by the number that readers multiply by.
    scales = scales.astype(np.float32).astype(np.float64)
    quantized = np.clip(np.rint(weights / scales[:, None]), -MAX_INT8, MAX_INT8)
    return scales, quantized.astype(np.int8)


def quantize_bias(bias: Vector, scales: Vector) -> npt.NDArray[np.int32]:
    """Return the int32 integers of a real bias [rows]."""
    return np.clip(np.rint(bias / scales), _INT32.min, _INT32.max).astype(np.int32)


def _set_bias(op: Operator, values: npt.NDArray[np.int32], scales: Vector) -> None:
    tensor = op.bias
    if tensor is not None:
        op.inputs[2] = _replaced(tensor, values.reshape(tensor.shape), scales)
        return
    name = f"{op.weights.name}/bias"
    created = Tensor.constant(name, values, quantization=Quantization(scales))
    op.inputs[2:] = [created]


def _replaced(tensor: Tensor, array: npt.NDArray[np.generic], scales: Vector) -> Tensor:
    """Return a copy with other values and scales."""
    changed = copy.copy(tensor)
    changed.raw = copy.copy(tensor.raw)
    changed.array = array
    changed.quantization = Quantization(scales)
    return changed


def _scales(tensor: Tensor) -> Vector:
    assert tensor.quantization is not None  # `read` checks it
    return np.asarray(tensor.quantization.scales, np.float64)
