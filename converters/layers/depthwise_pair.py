"""One int8 DEPTHWISE_CONV_2D as real numbers, and as two whose product is close to it.

Given:   DEPTHWISE_CONV_2D(input, [1, d, e, channels], bias[channels]), stride s x t -> output
Result:  DEPTHWISE_CONV_2D(input, [1, d, 1, channels], zeros), stride s x 1 -> between
         DEPTHWISE_CONV_2D(between, [1, 1, e, channels], bias[channels]), stride 1 x t -> output

`between` is int8 with one scale; each channel gets the same largest magnitude on samples, as in
`factor_chain`. It is not centred, since zeros may pad it, so the first bias is zero: LiteRT wants
one all the same.
"""

from __future__ import annotations

import copy

import numpy as np
import numpy.typing as npt

from tflm_sparsesep.converters.factorize.chain import DenseLayer
from tflm_sparsesep.converters.factorize.gram import Matrix, Vector
from tflm_sparsesep.converters.layers import real as real_layer
from tflm_sparsesep.converters.layers import split as factor_chain
from tflm_sparsesep.converters.layers.depthwise import shape_of, stages
from tflm_sparsesep.converters.layers.quantized import (
    Unsupported,
    read_numbers,
    read_weights,
)
from tflm_sparsesep.converters.tflite.editor import Operator, Quantization, Tensor

_CHANNEL_AXIS = 3


def read(op: Operator) -> DenseLayer:
    """Weights [channels, taps], bias and limits of the output (`real_layer.read`).

    Raises:
        Unsupported: the layer is not int8, or gives several outputs for a channel, or is dilated.
    """
    shape, weights, old = shape_of(op), read_weights(op), op.weights
    if shape.multiplier != 1 or shape.dilation != (1, 1):
        raise Unsupported("several outputs for a channel, or dilated")
    quantization = old.quantization
    if quantization is None:
        raise Unsupported("weights have no quantisation")
    if len(quantization.scales) > 1 and quantization.axis != _CHANNEL_AXIS:
        raise Unsupported("weights are not quantised per channel")
    rows = np.ascontiguousarray(weights.reshape(-1, shape.channels).T)
    turned = Tensor.constant(
        old.name, rows, quantization=Quantization(quantization.scales, quantization.zero_points)
    )
    ends = [op.inputs[0], turned, *op.inputs[2:]]
    like = Operator(op.builtin_code, ends, op.outputs, version=op.version, options=op.options)
    return real_layer.real_numbers(like, *read_numbers(like, rows))


def split(
    op: Operator, down: Matrix, right: Matrix, bias: Vector, windows: npt.NDArray[np.float64]
) -> list[Operator]:
    """The two operators in the place of `op`, which stays as it is.

    Args:
        op: one that `read` accepts.
        down, right: float64[channels, d] and float64[channels, e].
        bias: float64[channels].
        windows: float64[n, d * e, channels], real samples of what an output looks at.
    """
    channels, taps = len(down), (down.shape[1], right.shape[1])
    values = np.einsum("nijc,ci->njc", windows.reshape(-1, *taps, channels), down)
    reach = np.abs(values).max(axis=(0, 1))
    reach = np.where(reach > 0, reach, 1.0)[:, None]
    first, second = stages(shape_of(op))
    places = (first.batch, *first.output)
    between = factor_chain.between(op, (*places, channels))
    ends = [op.input(0), between]
    vertical = _half(op, "first", (taps[0], 1), down / reach, ends, np.zeros(channels))
    vertical.options = _with_strides(factor_chain.without_activation(op.options), first.strides)
    ends = [between, op.outputs[0]]
    horizontal = _half(op, "second", (1, taps[1]), right * reach, ends, bias)
    horizontal.options = _with_strides(op.options, second.strides)
    return [vertical, horizontal]


def _half(
    op: Operator,
    part: str,
    taps: tuple[int, int],
    weights: Matrix,
    ends: list[Tensor],
    bias: Vector,
) -> Operator:
    """With weights [channels, taps] and bias [channels]; without options."""
    scales, quantized = factor_chain.quantize(weights, per_row=True)
    tensor = Tensor.constant(
        f"{op.weights.name}/{part}",
        np.ascontiguousarray(quantized.T).reshape(1, *taps, -1),
        quantization=Quantization(scales, axis=_CHANNEL_AXIS),
    )
    entering = ends[0].quantization
    assert entering is not None  # `read` has found it, or `split` made it
    bias_scales = float(entering.scales[0]) * scales
    offset = Tensor.constant(
        f"{tensor.name}/bias",
        factor_chain.bias_values(bias, bias_scales),
        quantization=Quantization(bias_scales),
    )
    return Operator(op.builtin_code, [ends[0], tensor, offset], [ends[1]], version=op.version)


def _with_strides(options: object, strides: tuple[int, int]) -> object:
    changed = copy.copy(options)
    changed.strideH, changed.strideW = strides  # type: ignore[attr-defined]
    return changed
