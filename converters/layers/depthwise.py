"""A DEPTHWISE_CONV_2D: its shape and its numbers."""

from __future__ import annotations

from tflm_sparsesep.converters.blob.format import MAX_DIM
from tflm_sparsesep.converters.blob.pack import FullyConnectedWeights
from tflm_sparsesep.converters.blob.pack_depthwise import DepthwiseLayer, to_taps
from tflm_sparsesep.converters.blob.pack_sparse_conv import ConvWindow
from tflm_sparsesep.converters.blob.requantization import INT8_MAX, INT8_MIN
from tflm_sparsesep.converters.blob.separable_format import Padding
from tflm_sparsesep.converters.cost.depthwise_conv import DepthwiseShape
from tflm_sparsesep.converters.cost.depthwise_kernels import DepthwiseRun
from tflm_sparsesep.converters.layers.matrix import bias_bytes
from tflm_sparsesep.converters.layers.quantized import (
    Unsupported,
    check_operator,
    read_numbers,
    read_weights,
)
from tflm_sparsesep.converters.tflite.editor import Operator


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
        bias_bytes(op),
    )


def read_depthwise(op: Operator) -> DepthwiseLayer:
    """Return the layer that a DEPTHWISE_CONV_2D computes.

    Raises:
        Unsupported: no kernel computes this layer; the message is the reason.
        ModelError: the operator has an unknown version, or a shape that no runtime executes.
    """
    check_operator(op)
    shape, weights = shape_of(op), read_weights(op)
    assert op.options is not None  # `shape_of` checks it
    if op.options.padding not in (0, 1) or shape.units > MAX_DIM:
        raise Unsupported("padding of a kind not known here, or too many channels")
    if weights.shape[0] != 1:
        raise Unsupported("no depthwise weights")
    numbers, options = read_numbers(op, to_taps(weights), axis=3)
    if not isinstance(numbers, FullyConnectedWeights):
        raise Unsupported("float32 depthwise convolution: kernels are for int8")
    try:
        window = ConvWindow(
            shape.kernel, shape.channels, op.strides, op.dilation, Padding(op.options.padding)
        )
    except ValueError as error:
        raise Unsupported(str(error)) from None
    layer = DepthwiseLayer(window, numbers, options)
    expected, found = layer.output_shape(op.input(0).shape), op.outputs[0].shape
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
