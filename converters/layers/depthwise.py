"""A DEPTHWISE_CONV_2D: its numbers, its shape, and its cost, whole and separated."""

from __future__ import annotations

import math
from dataclasses import dataclass

from tflm_sparsesep.converters.blob.depthwise_format import HEADER
from tflm_sparsesep.converters.blob.pack import FullyConnectedWeights
from tflm_sparsesep.converters.blob.pack_depthwise import DepthwiseLayer, to_taps
from tflm_sparsesep.converters.blob.pack_sparse_conv import ConvWindow
from tflm_sparsesep.converters.blob.requantization import INT8_MAX, INT8_MIN
from tflm_sparsesep.converters.blob.separable_format import Padding
from tflm_sparsesep.converters.cost import depthwise_kernels
from tflm_sparsesep.converters.cost.break_even import PlannedForm
from tflm_sparsesep.converters.cost.cost import Cost
from tflm_sparsesep.converters.cost.depthwise_conv import DepthwiseShape, dense_instructions
from tflm_sparsesep.converters.cost.depthwise_kernels import DepthwiseRun
from tflm_sparsesep.converters.cost.shapes import BIAS_BYTES
from tflm_sparsesep.converters.layers.quantized import (
    Unsupported,
    check_operator,
    read_numbers,
    read_weights,
)
from tflm_sparsesep.converters.tflite.editor import BuiltinOperator, Operator

# Multiplier and shift of a channel, in a blob.
_REQUANTIZATION_BYTES = 5


@dataclass(frozen=True)
class DepthwiseConv:
    """A depthwise convolution, and its separation into d x 1 and 1 x e taps.

    Attributes:
        shape: of the convolution.
        bias_bytes: of the layer as it is.
    """

    shape: DepthwiseShape
    bias_bytes: int = 0

    def __str__(self) -> str:
        height, width = self.shape.kernel
        image = "x".join(map(str, self.shape.image))
        return f"{height}x{width} of {self.shape.units} on {image}"

    def dense(self, target: str) -> Cost:
        """Return the cost of the int8 layer as it is."""
        weights = math.prod(self.shape.kernel) * self.shape.units
        return Cost(weights + self.bias_bytes, dense_instructions(target, self.shape))

    def separated(self, target: str) -> PlannedForm | None:
        """Return two layers with a bias each; None where there is nothing to separate."""
        if not is_separable(self.shape):
            return None
        down, right = stages(self.shape)
        weights = sum(self.shape.kernel) * self.shape.units
        instructions = dense_instructions(target, down) + dense_instructions(target, right)
        biases = self.bias_bytes + BIAS_BYTES * self.shape.units
        return PlannedForm(weights + biases, instructions, rank=1)

    def best(self, target: str) -> PlannedForm | None:
        """Return the separated form where it is both smaller and faster."""
        form = self.separated(target)
        return form if form is not None and form.beats(self.dense(target)) else None

    def rewritten(self, target: str) -> PlannedForm | None:
        """Return the same layer in the depthwise kernel of the target; None if it is not faster."""
        if target == "host":  # the LiteRT delegate does not run it
            return None
        instructions = depthwise_kernels.instructions(target, DepthwiseRun(self.shape))
        dense = self.dense(target)
        bytes_ = dense.bytes + HEADER.itemsize + _REQUANTIZATION_BYTES * self.shape.units
        form = PlannedForm(bytes_, instructions, pattern="depthwise kernel")
        return form if instructions < dense.instructions else None


def is_separable(shape: DepthwiseShape) -> bool:
    """Return True for taps in both directions, dilation 1 and one output per channel."""
    return min(shape.kernel) > 1 and shape.multiplier == 1 and shape.dilation == (1, 1)


def stages(shape: DepthwiseShape) -> tuple[DepthwiseShape, DepthwiseShape]:
    """Return the d x 1 convolution with the vertical stride, and the 1 x e one on its output."""
    (height, width), (down, right) = shape.kernel, shape.strides
    first = DepthwiseShape(
        shape.image, shape.channels, (height, 1), (down, 1), shape.same, batch=shape.batch
    )
    second = DepthwiseShape(
        first.output, shape.channels, (1, width), (1, right), shape.same, batch=shape.batch
    )
    return first, second


def shape_of(op: Operator) -> DepthwiseShape:
    """Return the shape of a DEPTHWISE_CONV_2D of any type.

    Raises:
        Unsupported: TensorFlow Lite's converter makes no such operator.
    """
    inputs, weights = op.input(0), op.weights
    if op.options is None or len(inputs.shape) != 4 or len(weights.shape) != 4:
        raise Unsupported("no image, or no depthwise weights")
    batch, height, width, channels = inputs.shape
    _, *kernel, units = weights.shape
    if not channels or units % channels:
        raise Unsupported(f"{units} outputs of {channels} channels")
    return DepthwiseShape(
        (height, width),
        channels,
        (kernel[0], kernel[1]),
        op.strides,
        op.is_same,
        units // channels,
        batch,
        op.dilation,
    )


def read_depthwise(op: Operator) -> DepthwiseLayer:
    """Return the layer that a DEPTHWISE_CONV_2D, or a CONV_2D of one channel, computes.

    Raises:
        Unsupported: no kernel computes this layer; the message is the reason.
        ModelError: the operator has an unknown version, or a shape that no runtime executes.
    """
    check_operator(op)
    weights, inputs = read_weights(op), op.input(0).shape
    if op.options is None or op.options.padding not in (0, 1) or len(inputs) != 4:
        raise Unsupported("padding or image of a kind not known here")
    axis = 3 if op.builtin_code == BuiltinOperator.DEPTHWISE_CONV_2D else 0
    if axis == 0:
        weights = weights.transpose(3, 1, 2, 0)
    if weights.shape[0] != 1 or weights.shape[3] % inputs[3]:
        raise Unsupported("no depthwise weights")
    numbers, options = read_numbers(op, to_taps(weights), axis=axis)
    if not isinstance(numbers, FullyConnectedWeights):
        raise Unsupported("float32 depthwise convolution: kernels are for int8")
    kernel, padding = weights.shape[1:3], Padding(op.options.padding)
    try:
        window = ConvWindow(kernel, inputs[3], op.strides, op.dilation, padding)
        layer = DepthwiseLayer(window, numbers, options)
    except ValueError as error:
        raise Unsupported(str(error)) from None
    expected, found = layer.output_shape(inputs), op.outputs[0].shape
    if tuple(found) != expected or 0 in expected:
        raise Unsupported(f"output {list(found)} does not fit the windows: {list(expected)}")
    return layer


def run_of(layer: DepthwiseLayer, inputs: tuple[int, ...]) -> DepthwiseRun:
    """Return what the cost of a layer depends on, for inputs [batch, height, width, channels]."""
    window, options = layer.window, layer.options
    shape = DepthwiseShape(
        (inputs[1], inputs[2]),
        window.channels,
        window.kernel,
        window.strides,
        window.padding is Padding.SAME,
        layer.multiplier,
        inputs[0],
        window.dilations,
    )
    limits = (options.activation_min, options.activation_max)
    return DepthwiseRun(shape, layer.is_bounded(), narrow=limits != (INT8_MIN, INT8_MAX))
