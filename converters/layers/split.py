"""One int8 layer as two or three: FULLY_CONNECTED or CONV_2D whose product is close to it.

Given:   FULLY_CONNECTED(input, weights[rows, cols], bias[rows]) -> output
Result:  FULLY_CONNECTED(input, first[middle, cols], bias[middle]) -> between
         FULLY_CONNECTED(between, second[rows, middle], bias[rows]) -> output

Given:   CONV_2D(input, weights[units, h, w, channels], bias[units]), stride s x t -> output
Result:  CONV_2D(input, first[middle, h, 1, channels], bias[middle]), stride s x 1 -> between
         CONV_2D(between, second[units, 1, w, middle], bias[units]), stride 1 x t -> output
     or  CONV_2D 1x1 to P channels, CONV_2D h x w, stride s x t, to Q, CONV_2D 1x1 to all units

`between` is int8 with one scale. Its channels are free to be scaled as long as the next layer
undoes it: all get the same largest magnitude on sample inputs, so that none wastes the 8 bits. They
are centred, too, but where a layer behind may pad them with zeros.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tflm_sparsesep.converters.factorize.gram import Matrix, Vector
from tflm_sparsesep.converters.layers.stages import Stage
from tflm_sparsesep.converters.tflite.editor import (
    BuiltinOperator,
    Operator,
    Quantization,
    Tensor,
    TensorType,
)

_MAX = 127
_INT32 = np.iinfo(np.int32)
_SAME = 0  # schema.Padding
_NAMES = ("first", "second", "third")


@dataclass(frozen=True)
class _Numbers:
    """Weights [units, taps * channels] and bias [units] of one operator, real."""

    weights: Matrix
    bias: Vector


def split(
    op: Operator, stages: Sequence[Stage], bias: Vector, windows: npt.NDArray[np.float64]
) -> list[Operator]:
    """The operators in the place of `op`, which stays as it is.

    Args:
        op: an int8 FULLY_CONNECTED or CONV_2D that `real_layer.read` accepts.
        stages: two or three that compute what the layer does, or nearly.
        bias: float64[rows].
        windows: float64[n, height, width, channels], real samples of what an output looks at.
    """
    numbers = _scaled(stages, bias, windows)
    source, operators = op.input(0), []
    for at, (stage, part) in enumerate(zip(stages, numbers, strict=True)):
        is_last = at == len(stages) - 1
        shape = (*_places(op, stage, source), len(stage.matrix))
        output = op.outputs[0] if is_last else between(op, shape, at)
        options = op.options if is_last else without_activation(op.options)
        operators.append(_operator(op, _NAMES[at], stage, part, [source, output], options))
        source = output
    return operators


def _scaled(
    stages: Sequence[Stage], bias: Vector, windows: npt.NDArray[np.float64]
) -> list[_Numbers]:
    """For each stage numbers whose outputs, but for the last, have the magnitude 1."""
    found: list[_Numbers] = []
    values = windows
    scale, shift = np.ones(stages[0].channels), np.zeros(stages[0].channels)
    for stage, behind in zip(stages, _behind(stages), strict=True):
        taps = stage.matrix.reshape(len(stage.matrix), -1, stage.channels)
        weights = (taps * scale).reshape(stage.matrix.shape)
        offset = taps.sum(axis=1) @ shift
        if not behind:
            return [*found, _Numbers(weights, bias + offset)]
        values = stage.on(values)
        places = values.reshape(-1, len(stage.matrix))
        low, high = places.min(axis=0), places.max(axis=0)
        may_pad = any(one.taps != (1, 1) or one.strides != (1, 1) for one in behind)
        shift = np.zeros(len(low)) if may_pad else (low + high) / 2
        reach = np.maximum(high - shift, shift - low)
        scale = np.where(reach > 0, reach, 1.0)
        found.append(_Numbers(weights / scale[:, None], (offset - shift) / scale))
    raise AssertionError("no stage")


def _behind(stages: Sequence[Stage]) -> list[Sequence[Stage]]:
    return [stages[at + 1 :] for at in range(len(stages))]


def between(op: Operator, shape: tuple[int, ...], number: int = 0) -> Tensor:
    """What lies between the parts of `op`; real values are in -1..1."""
    quantization = Quantization(np.float32(1 / _MAX), 0)
    name = f"{op.outputs[0].name.split(';')[0]}/between{number + 1 if number else ''}"
    return Tensor(name, shape, TensorType.INT8, quantization=quantization)


def _places(op: Operator, stage: Stage, source: Tensor) -> tuple[int, ...]:
    """Batch, and of a convolution height and width, of what a stage gives."""
    if op.builtin_code != BuiltinOperator.CONV_2D:
        return op.outputs[0].shape[:-1]
    batch, *sizes, _ = source.shape
    same = op.options.padding == _SAME
    rooms = [n if same else n - k + 1 for n, k in zip(sizes, stage.taps, strict=True)]
    return (batch, *(-(-n // s) for n, s in zip(rooms, stage.strides, strict=True)))


def without_activation(options: object) -> object:
    """A copy of an operator's options that leaves its outputs as they are."""
    changed = copy.copy(options)
    changed.fusedActivationFunction = 0  # type: ignore[attr-defined]
    return changed


def _operator(
    op: Operator,
    part: str,
    stage: Stage,
    numbers: _Numbers,
    ends: list[Tensor],
    options: object,
) -> Operator:
    source, target = ends
    old = op.weights
    assert old.quantization is not None  # real_layer has read it
    is_conv = op.builtin_code == BuiltinOperator.CONV_2D
    per_row = len(old.quantization.scales) > 1 or is_conv
    scales, quantized = quantize(numbers.weights, per_row=per_row)
    if is_conv:
        quantized = quantized.reshape(len(quantized), *stage.taps, stage.channels)
        options = copy.copy(options)
        options.strideH, options.strideW = stage.strides  # type: ignore[attr-defined]
    entering = source.quantization
    assert entering is not None
    bias_scales = float(entering.scales[0]) * scales
    bias = bias_values(numbers.bias, bias_scales)
    name = f"{old.name}/{part}"
    constants = [
        Tensor.constant(name, quantized, quantization=Quantization(scales)),
        Tensor.constant(f"{name}/bias", bias, quantization=Quantization(bias_scales)),
    ]
    return Operator(
        op.builtin_code, [source, *constants], [target], version=op.version, options=options
    )


def bias_values(bias: Vector, scales: Vector) -> npt.NDArray[np.int32]:
    """Real numbers as the integers that hold them."""
    return np.clip(np.rint(bias / scales), _INT32.min, _INT32.max).astype(np.int32)


def quantize(weights: Matrix, *, per_row: bool) -> tuple[Vector, npt.NDArray[np.int8]]:
    """Scales and int8 weights: one scale for each unit, or one for all.

    Rows of zeros get the mean of the others' scales.
    """
    largest = np.abs(weights).max(axis=1) if per_row else np.abs(weights).max(keepdims=True)[0]
    used = largest[largest > 0]
    largest = np.where(largest > 0, largest, used.mean() if used.size else 1.0)
    # float32, as stored: quantisation below divides by what readers multiply with.
    scales = (largest / _MAX).astype(np.float32).astype(np.float64)
    return scales, np.clip(np.rint(weights / scales[:, None]), -_MAX, _MAX).astype(np.int8)
