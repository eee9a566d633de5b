"""One int8 layer as two: FULLY_CONNECTED or CONV_2D of two matrices whose product is close to it.

Given:   FULLY_CONNECTED(input, weights[rows, cols], bias[rows]) -> output
Result:  FULLY_CONNECTED(input, first[middle, cols], bias[middle]) -> between
         FULLY_CONNECTED(between, second[rows, middle], bias[rows]) -> output

Given:   CONV_2D(input, weights[units, h, w, channels], bias[units]), stride s x t -> output
Result:  CONV_2D(input, first[middle, h, 1, channels], bias[middle]), stride s x 1 -> between
         CONV_2D(between, second[units, 1, w, middle], bias[units]), stride 1 x t -> output

`between` is int8 with one scale. Its channels are free to be scaled as long as `second` undoes it:
all get the same largest magnitude on sample inputs, so that none wastes the 8 bits. Those of a
FULLY_CONNECTED are centred, too; where a convolution pads its input with zeros, they must not be.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tflm_sparsesep.converters.factorize.gram import Matrix, Vector
from tflm_sparsesep.converters.model_editor import (
    BuiltinOperator,
    Operator,
    Quantization,
    Tensor,
    TensorType,
)
from tflm_sparsesep.converters.quantized_layer import tensor_of

_MAX = 127
_INT32 = np.iinfo(np.int32)


@dataclass(frozen=True)
class _Numbers:
    """Weights [units, ...] and bias [units] of one operator, real."""

    weights: npt.NDArray[np.float64]
    bias: Vector


def split(
    op: Operator, first: Matrix, second: Matrix, bias: Vector, inputs: Matrix
) -> list[Operator]:
    """The two operators in the place of `op`, which stays as it is.

    Args:
        op: an int8 FULLY_CONNECTED or CONV_2D that `real_layer.read` accepts.
        first: float64[middle, cols], of a convolution [middle, h * channels].
        second: float64[rows, middle], of a convolution [units, w * middle].
        bias: float64[rows].
        inputs: float64[n, columns of first], real samples of what `first` multiplies.
    """
    is_conv = op.builtin_code == BuiltinOperator.CONV_2D
    found = inputs @ first.T
    low, high = found.min(axis=0), found.max(axis=0)
    centre = np.zeros(len(first)) if is_conv else (low + high) / 2
    reach = np.maximum(high - centre, centre - low)
    reach = np.where(reach > 0, reach, 1.0)
    taps = second.reshape(len(second), -1, len(first))
    numbers = (
        _Numbers(first / reach[:, None], -centre / reach),
        _Numbers(taps * reach, bias + taps.sum(axis=1) @ centre),
    )
    return _conv_pair(op, *numbers) if is_conv else _fully_connected_pair(op, *numbers)


def _fully_connected_pair(op: Operator, first: _Numbers, second: _Numbers) -> list[Operator]:
    shape = (*op.outputs[0].shape[:-1], len(first.bias))
    between = _between(op, shape)
    options = copy.copy(op.options)
    options.fusedActivationFunction = 0
    return [
        _operator(op, "first", first, [op.inputs[0], between], options),
        _operator(
            op,
            "second",
            _Numbers(second.weights[:, 0], second.bias),
            [between, op.outputs[0]],
            op.options,
        ),
    ]


def _conv_pair(op: Operator, first: _Numbers, second: _Numbers) -> list[Operator]:
    source = tensor_of(op.inputs[0])
    _, height, width, channels = tensor_of(op.inputs[1]).shape
    batch, rows, _, _ = op.outputs[0].shape
    between = _between(op, (batch, rows, source.shape[2], len(first.bias)))
    down, right = copy.copy(op.options), copy.copy(op.options)
    down.strideW, down.fusedActivationFunction = 1, 0
    right.strideH = 1
    vertical = first.weights.reshape(-1, height, 1, channels)
    horizontal = second.weights[:, None]
    assert horizontal.shape[2] == width
    return [
        _operator(op, "first", _Numbers(vertical, first.bias), [source, between], down),
        _operator(op, "second", _Numbers(horizontal, second.bias), [between, op.outputs[0]], right),
    ]


def _between(op: Operator, shape: tuple[int, ...]) -> Tensor:
    """Real values lie in -1..1."""
    quantization = Quantization(np.float32(1 / _MAX), 0)
    name = f"{op.outputs[0].name.split(';')[0]}/between"
    return Tensor(name, shape, TensorType.INT8, quantization=quantization)


def _operator(
    op: Operator, part: str, numbers: _Numbers, ends: list[Tensor | None], options: object
) -> Operator:
    source, target = ends
    old = tensor_of(op.inputs[1])
    assert old.quantization is not None  # real_layer has read it
    per_row = len(old.quantization.scales) > 1 or op.builtin_code == BuiltinOperator.CONV_2D
    scales, quantized = _quantize(numbers.weights, per_row=per_row)
    entering = tensor_of(source).quantization
    assert entering is not None
    bias_scales = float(entering.scales[0]) * scales
    bias = np.clip(np.rint(numbers.bias / bias_scales), _INT32.min, _INT32.max).astype(np.int32)
    name = f"{old.name}/{part}"
    constants = [
        Tensor.constant(name, quantized, quantization=Quantization(scales)),
        Tensor.constant(f"{name}/bias", bias, quantization=Quantization(bias_scales)),
    ]
    return Operator(
        op.builtin_code,
        [source, *constants],
        [tensor_of(target)],
        version=op.version,
        options=options,
    )


def _quantize(
    weights: npt.NDArray[np.float64], *, per_row: bool
) -> tuple[Vector, npt.NDArray[np.int8]]:
    """One scale for each unit, or one for all; rows of zeros get the mean of the others'."""
    flat = weights.reshape(len(weights), -1)
    largest = np.abs(flat).max(axis=1) if per_row else np.abs(flat).max(keepdims=True)[0]
    used = largest[largest > 0]
    largest = np.where(largest > 0, largest, used.mean() if used.size else 1.0)
    # float32, as stored: quantisation below divides by what readers multiply with.
    scales = (largest / _MAX).astype(np.float32).astype(np.float64)
    values = np.clip(np.rint(flat / scales[:, None]), -_MAX, _MAX).astype(np.int8)
    return scales, values.reshape(weights.shape)
