"""Real numbers of an int8 FULLY_CONNECTED or CONV_2D, and back into its constants.

    real weight = scale_r q        real bias = input_scale scale_r q

The rows of a convolution's weights are its kernels, flat: [units, height * width * channels].

`write` keeps what readers of the layer rely on: shapes, dtypes, the number of weight scales, the
quantisation of input and output. Other operators may share the constants: theirs stay.
"""

from __future__ import annotations

import copy

import numpy as np
import numpy.typing as npt

from tflm_sparsesep.converters.blob.format import FullyConnectedOptions
from tflm_sparsesep.converters.blob.pack import FullyConnectedWeights, PackableWeights
from tflm_sparsesep.converters.factorize.chain import DenseLayer
from tflm_sparsesep.converters.factorize.gram import Matrix, Vector
from tflm_sparsesep.converters.layers.matrix import read_matrix_layer
from tflm_sparsesep.converters.layers.quantized import (
    Unsupported,
    read_numbers,
    read_weights,
)
from tflm_sparsesep.converters.tflite.editor import BuiltinOperator, Operator, Quantization, Tensor

_MAX = 127
_INT32 = np.iinfo(np.int32)


def read(op: Operator) -> DenseLayer:
    """Weights, bias and limits of the output as real numbers.

    The limits are those of the activation and of what the int8 output can hold.

    Raises:
        Unsupported: the layer is not int8, or one that no kernel covers.
    """
    is_conv = op.builtin_code == BuiltinOperator.CONV_2D
    if is_conv:
        return real_numbers(op, *_read_conv(op))
    layer = read_matrix_layer(op)
    return real_numbers(op, layer.weights, layer.options)


def real_numbers(
    op: Operator, layer: PackableWeights, options: FullyConnectedOptions
) -> DenseLayer:
    """What was read of `op` as real numbers. Raises Unsupported where it is not int8."""
    if not isinstance(layer, FullyConnectedWeights):
        raise Unsupported("weights are no int8")
    scales = _scales(op.weights)[:, None]
    output_scale = float(_scales(op.outputs[0])[0])
    return DenseLayer(
        layer.weights * scales,
        layer.bias * _scales(op.input(0))[0] * scales[:, 0],
        (options.activation_min - options.output_zero_point) * output_scale,
        (options.activation_max - options.output_zero_point) * output_scale,
    )


def _read_conv(op: Operator) -> tuple[PackableWeights, FullyConnectedOptions]:
    """Raises Unsupported for dilated and grouped convolutions."""
    weights = read_weights(op)
    if op.options is None or op.dilation != (1, 1):
        raise Unsupported("dilated")
    shape = op.input(0).shape
    if weights.ndim != 4 or len(shape) != 4 or shape[3] != weights.shape[3]:
        raise Unsupported("grouped")
    return read_numbers(op, weights.reshape(len(weights), -1))


def write(op: Operator, weights: Matrix, bias: Vector) -> None:
    """Gives `op` new constants that hold these real numbers [rows, cols], [rows] in int8.

    Scales follow the largest weight, of each row or of all, as there were scales before. A row of
    zeros keeps its scale.
    """
    old = op.weights
    before = _scales(old)
    largest = np.abs(weights).max(axis=1) if len(before) > 1 else np.abs(weights).max(keepdims=True)
    largest = largest.reshape(len(before))
    # float32, as stored: quantisation below divides by what readers multiply with.
    scales = np.where(largest > 0, largest / _MAX, before).astype(np.float32).astype(np.float64)
    quantized = np.clip(np.rint(weights / scales[:, None]), -_MAX, _MAX).astype(np.int8)
    op.inputs[1] = _replaced(old, quantized.reshape(old.shape), scales)
    bias_scales = float(_scales(op.input(0))[0]) * scales
    integers = np.clip(np.rint(bias / bias_scales), _INT32.min, _INT32.max).astype(np.int32)
    _set_bias(op, integers, bias_scales)


def _set_bias(op: Operator, values: npt.NDArray[np.int32], scales: Vector) -> None:
    tensor = op.bias
    if tensor is not None:
        op.inputs[2] = _replaced(tensor, values.reshape(tensor.shape), scales)
        return
    name = f"{op.weights.name}/bias"
    created = Tensor.constant(name, values, quantization=Quantization(scales))
    op.inputs[2:] = [created]


def _replaced(tensor: Tensor, array: npt.NDArray[np.generic], scales: Vector) -> Tensor:
    """A copy with other values and scales."""
    changed = copy.copy(tensor)
    changed.raw = copy.copy(tensor.raw)
    changed.array = array
    changed.quantization = Quantization(scales)
    return changed


def _scales(tensor: Tensor) -> Vector:
    assert tensor.quantization is not None  # read_layer has read it
    return np.asarray(tensor.quantization.scales, np.float64)
