"""Replace one int8 layer by two or three whose product is close to it.

Given:   FULLY_CONNECTED(input, weights[rows, cols], bias[rows]) -> output
Result:  FULLY_CONNECTED(input, first[middle, cols], bias[middle]) -> between
         FULLY_CONNECTED(between, second[rows, middle], bias[rows]) -> output

Given:   CONV_2D(input, weights[units, h, w, channels], bias[units]), stride s x t -> output
Result:  CONV_2D(input, first[middle, h, 1, channels], bias[middle]), stride s x 1 -> between
         CONV_2D(between, second[units, 1, w, middle], bias[units]), stride 1 x t -> output
     or  CONV_2D 1x1 to P channels, CONV_2D h x w, stride s x t, to Q, CONV_2D 1x1 to all units

Given:   DEPTHWISE_CONV_2D(input, [1, d, e, channels], bias[channels]), stride s x t -> output
Result:  DEPTHWISE_CONV_2D(input, [1, d, 1, channels], zeros), stride s x 1 -> between
         DEPTHWISE_CONV_2D(between, [1, 1, e, channels], bias[channels]), stride 1 x t -> output

`between` is int8 with one scale. A channel of it may be scaled freely as long as the next layer
compensates: all get the same largest magnitude on sample inputs, so that each uses the 8 bits. Its
channels are also centered, unless a later layer may pad them with zeros.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from tflm_sparsesep.converters.factorize.chain import RealLayer
from tflm_sparsesep.converters.factorize.gram import Matrix, Vector
from tflm_sparsesep.converters.layers import stages as conv_stages
from tflm_sparsesep.converters.layers.depthwise import shape_of
from tflm_sparsesep.converters.layers.real import (
    DEPTHWISE,
    DEPTHWISE_AXIS,
    MAX_INT8,
    quantize_bias,
    quantize_weights,
)
from tflm_sparsesep.converters.tflite.editor import (
    BuiltinOperator,
    Operator,
    Quantization,
    Tensor,
    TensorType,
)

_NAMES = ("first", "second", "third")


def split(
    op: Operator, parts: Sequence[RealLayer], bias: Vector, windows: npt.NDArray[np.float64]
) -> list[Operator]:
    """Return the operators that replace `op`, which stays unchanged.

    Args:
        op: an int8 FULLY_CONNECTED or CONV_2D that `real.read` accepts.
        parts: two or three stages whose product is close to the layer (`stages.stages_of`).
        bias: float64[rows].
        windows: float64[n, height, width, channels], real samples of the input of one output.
    """
    source, operators = op.input(0), []
    for at, part in enumerate(_scaled(parts, bias, windows)):
        is_last = at == len(parts) - 1
        shape = (*_places(op, part, source), len(part.weights))
        output = op.outputs[0] if is_last else _between(op, shape, at)
        operators.append(_operator(op, _NAMES[at], part, source, output))
        source = output
    return operators


def split_depthwise(
    op: Operator, down: Matrix, right: Matrix, bias: Vector, windows: npt.NDArray[np.float64]
) -> list[Operator]:
    """Return the two operators that replace `op`, which stays unchanged.

    `between` is not centered, as zeros may pad it, so the first bias is zero. LiteRT requires it.

    Args:
        op: an int8 DEPTHWISE_CONV_2D that `real.read` accepts.
        down: float64[channels, d].
        right: float64[channels, e].
        bias: float64[channels].
        windows: float64[n, d * e, channels], real samples of the input of one output.
    """
    channels, taps = len(down), (down.shape[1], right.shape[1])
    values = np.einsum("nijc,ci->njc", windows.reshape(-1, *taps, channels), down)
    largest = np.abs(values).max(axis=(0, 1))
    largest = np.where(largest > 0, largest, 1.0)[:, None]
    first, second = shape_of(op).stages
    between = _between(op, (first.batch, *first.output, channels))
    vertical, horizontal = (
        RealLayer(weights, offset, taps=shape.kernel, strides=shape.strides, is_depthwise=True)
        for weights, offset, shape in (
            (down / largest, np.zeros(channels), first),
            (right * largest, bias, second),
        )
    )
    return [
        _operator(op, _NAMES[0], vertical, op.input(0), between),
        _operator(op, _NAMES[1], horizontal, between, op.outputs[0]),
    ]


def _scaled(
    parts: Sequence[RealLayer], bias: Vector, windows: npt.NDArray[np.float64]
) -> list[RealLayer]:
    """Return the stages scaled so that all outputs but the last have magnitude 1."""
    found: list[RealLayer] = []
    values = windows
    scale, shift = np.ones(parts[0].channels), np.zeros(parts[0].channels)
    for at, part in enumerate(parts):
        taps = part.weights.reshape(len(part.weights), -1, part.channels)
        weights = (taps * scale).reshape(part.weights.shape)
        offset = taps.sum(axis=1) @ shift
        later = parts[at + 1 :]
        if not later:
            found.append(replace(part, weights=weights, bias=bias + offset))
            break
        values = conv_stages.outputs(part, values)
        channels = values.reshape(-1, len(part.weights))
        low, high = channels.min(axis=0), channels.max(axis=0)
        may_pad = any(one.taps != (1, 1) or one.strides != (1, 1) for one in later)
        shift = np.zeros(len(low)) if may_pad else (low + high) / 2
        scale = np.maximum(high - shift, shift - low)
        scale = np.where(scale > 0, scale, 1.0)
        scaled = weights / scale[:, None]
        found.append(replace(part, weights=scaled, bias=(offset - shift) / scale))
    return found


def _between(op: Operator, shape: tuple[int, ...], number: int = 0) -> Tensor:
    """Return the activation between two parts of `op`; its real values are in -1..1."""
    quantization = Quantization(np.float32(1 / MAX_INT8), 0)
    name = f"{op.outputs[0].name.split(';')[0]}/between{number + 1 if number else ''}"
    return Tensor(name, shape, TensorType.INT8, quantization=quantization)


def _places(op: Operator, part: RealLayer, source: Tensor) -> tuple[int, ...]:
    """Return the batch, and of a convolution the height and width, of a stage's output."""
    if op.builtin_code != BuiltinOperator.CONV_2D:
        return op.outputs[0].shape[:-1]
    batch, *sizes, _ = source.shape
    rooms = [n if op.is_same else n - k + 1 for n, k in zip(sizes, part.taps, strict=True)]
    return (batch, *(-(-n // s) for n, s in zip(rooms, part.strides, strict=True)))


def _operator(op: Operator, name: str, part: RealLayer, source: Tensor, target: Tensor) -> Operator:
    """Return an operator like `op` with the numbers of `part`."""
    old = op.weights
    assert old.quantization is not None  # `real.read` checks both
    assert source.quantization is not None
    per_row = len(old.quantization.scales) > 1 or op.builtin_code != BuiltinOperator.FULLY_CONNECTED
    scales, quantized = _quantized(part.weights, per_row=per_row)
    stored: npt.NDArray[np.int8] = quantized
    if op.builtin_code == BuiltinOperator.CONV_2D:
        stored = quantized.reshape(len(quantized), *part.taps, part.channels)
    elif op.builtin_code == DEPTHWISE:
        stored = np.ascontiguousarray(quantized.T).reshape(1, *part.taps, -1)
    axis = DEPTHWISE_AXIS if op.builtin_code == DEPTHWISE else 0
    bias_scales = float(source.quantization.scales[0]) * scales
    bias = quantize_bias(part.bias, bias_scales)
    name = f"{old.name}/{name}"
    constants = [
        Tensor.constant(name, stored, quantization=Quantization(scales, axis=axis)),
        Tensor.constant(f"{name}/bias", bias, quantization=Quantization(bias_scales)),
    ]
    options = _options(op, part, is_last=target is op.outputs[0])
    return Operator(
        op.builtin_code, [source, *constants], [target], version=op.version, options=options
    )


def _options(op: Operator, part: RealLayer, *, is_last: bool) -> object:
    """Return the options of `op` with the strides of a part; only the last has the activation."""
    changed = copy.copy(op.options)
    if op.builtin_code != BuiltinOperator.FULLY_CONNECTED:
        changed.strideH, changed.strideW = part.strides
    if not is_last:
        changed.fusedActivationFunction = 0
    return changed


def _quantized(weights: Matrix, *, per_row: bool) -> tuple[Vector, npt.NDArray[np.int8]]:
    """Return scales and int8 weights. Rows of zeros get the mean of the other rows' scales."""
    largest = np.abs(weights).max(axis=1) if per_row else np.abs(weights).max(keepdims=True)[0]
    used = largest[largest > 0]
    largest = np.where(largest > 0, largest, used.mean() if used.size else 1.0)
    return quantize_weights(weights, largest / MAX_INT8)
