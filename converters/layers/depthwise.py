"""A DEPTHWISE_CONV_2D: its shape and its numbers."""

from __future__ import annotations

from tflm_sparsesep.converters.blob.pack import FullyConnectedWeights
from tflm_sparsesep.converters.blob.pack_depthwise import DepthwiseLayer, to_taps
from tflm_sparsesep.converters.blob.pack_sparse_conv import ConvWindow
from tflm_sparsesep.converters.blob.requantization import INT8_MAX, INT8_MIN
from tflm_sparsesep.converters.blob.separable_format import Padding
from tflm_sparsesep.converters.cost.depthwise_conv import DepthwiseShape
from tflm_sparsesep.converters.cost.depthwise_kernels import DepthwiseRun
from tflm_sparsesep.converters.layers.quantized import (
    Unsupported,
    check_operator,
    parameter_bytes,
    read_numbers,
    read_weights,
)
from tflm_sparsesep.converters.tflite.editor import BuiltinOperator, Operator


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
        parameter_bytes(op),
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
