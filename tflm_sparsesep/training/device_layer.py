"""A Keras layer as the device runs it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tflm_sparsesep.converters.blob.format import MAX_DIM
from tflm_sparsesep.converters.blob.pack import FullyConnectedWeights
from tflm_sparsesep.converters.blob.pack_sparse_conv import ConvWindow, to_columns
from tflm_sparsesep.converters.blob.separable_format import Padding
from tflm_sparsesep.converters.cost import depthwise_kernels
from tflm_sparsesep.converters.cost.choose_layout import (
    Prefer,
    choose_conv_layout,
    choose_layout,
    pays,
)
from tflm_sparsesep.converters.cost.cost import Cost, PackedCost
from tflm_sparsesep.converters.cost.depthwise_conv import DepthwiseShape
from tflm_sparsesep.converters.cost.shapes import ConvShape, MatrixShape, parameter_bytes
from tflm_sparsesep.converters.layers import windows as conv_windows
from tflm_sparsesep.converters.layers.quantized import Unsupported

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class DeviceLayer:
    """A Dense or convolutional layer as the device runs it.

    Attributes:
        shape: the weights as a matrix [outputs, taps * inputs], and the vectors of one inference;
            or a convolution over windows in several pieces.
        has_kernel: a sparse kernel exists for this kind of layer.
        depthwise: the shape of a depthwise convolution, which one of one channel is, too.
    """

    shape: MatrixShape | ConvShape
    has_kernel: bool
    depthwise: DepthwiseShape | None = None

    @classmethod
    def of(cls, layer: Any) -> DeviceLayer:
        """Describe a built Keras layer with a kernel [..., inputs, outputs]."""
        if hasattr(layer, "depth_multiplier"):
            return cls(_matrix_shape(layer), False, _depthwise_shape_or_none(layer))
        *taps, channels, rows = layer.kernel.shape
        fits = max(rows, math.prod(taps) * channels) <= MAX_DIM
        one_channel = _one_channel_shape(layer) if taps and channels == 1 and fits else None
        if taps and not _is_along_axis(layer):
            shape = _conv_shape(layer)
            if shape is not None:
                return cls(shape, fits, one_channel)
            return cls(_matrix_shape(layer), False)
        return cls(_matrix_shape(layer), fits, one_channel)

    @property
    def channels(self) -> int:
        """Inputs of one tap."""
        if isinstance(self.shape, ConvShape):
            return self.shape.weights[-1]
        return self.shape.cols // max(self.shape.taps, 1)

    @property
    def dense_bytes(self) -> int:
        """Bytes of the dense int8 operator in a file."""
        return self.shape.rows * self.shape.cols + self.shape.parameter_bytes

    def dense(self, target: str) -> Cost:
        """Return the cost without zeros: of the dense operator, or of our depthwise kernels.

        Instructions of other layers without a sparse kernel count as 0: they are not known.
        """
        dense = Cost(self.dense_bytes, 0)
        if self.has_kernel:
            dense = self.shape.dense(target)
        elif self.depthwise is not None:
            dense = self.depthwise.dense(target)
        if self.depthwise is None or target == "host":
            return dense
        packed = depthwise_kernels.packed_cost(target, self.depthwise)
        return packed if pays(packed, dense) else dense

    def matrix(self, kernel: Array) -> Array:
        """Return a kernel [..., inputs, outputs] as the packer sees it, [outputs, taps * inputs].

        The taps of a convolution over windows in several pieces go down first.
        """
        by_output = np.moveaxis(kernel, -1, 0)
        if isinstance(self.shape, ConvShape):
            return to_columns(by_output.reshape(self.shape.weights))
        return by_output.reshape(len(by_output), -1)

    def best(
        self,
        weights: FullyConnectedWeights,
        target: str,
        *,
        input_zeros: float = 0.0,
        prefer: Prefer | None = None,
    ) -> PackedCost | None:
        """Return the layout that the converter chooses for int8 weights in the order of `matrix`.

        None if no kernel of the target takes them.
        """
        dense, shape = self.shape.dense(target), self.shape
        if isinstance(shape, ConvShape):
            window, inputs = shape.window, shape.inputs
            return choose_conv_layout(weights, window, inputs, target, dense=dense, prefer=prefer)
        vectors = shape.vectors
        return choose_layout(weights, target, vectors, input_zeros, dense=dense, prefer=prefer)


def _matrix_shape(layer: Any) -> MatrixShape:
    *taps, channels, rows = layer.kernel.shape
    times = math.prod(taps) if taps else 0
    positions = _positions(layer)
    vectors, lines = math.prod(positions), math.prod(positions[:-1]) if times > 1 else 1
    parameters, rank = parameter_bytes_of(layer), 2 if taps else len(positions) + 2
    cols = math.prod(taps) * channels
    return MatrixShape(rows, cols, vectors, times, parameters, lines, rank)


def _depthwise_shape_or_none(layer: Any) -> DepthwiseShape | None:
    try:
        return depthwise_shape(layer)
    except (AttributeError, ValueError, Unsupported):  # called several times, or of open size
        return None


def _one_channel_shape(layer: Any) -> DepthwiseShape | None:
    """Return a convolution of one channel as a depthwise one; None if its image is not fixed."""
    image = _image(layer)
    if image is None or not _is_plain(layer) or layer.padding not in ("same", "valid"):
        return None
    kernel, strides, dilation = _geometry(layer)
    is_same, units = layer.padding == "same", layer.kernel.shape[-1]
    size, parameters = (image[1], image[2]), parameter_bytes_of(layer)
    return DepthwiseShape(size, 1, kernel, strides, is_same, units, 1, dilation, parameters)


def _is_along_axis(layer: Any) -> bool:
    """Return True if the windows of a convolution are contiguous vectors of its input.

    They are its pixels, or windows along one axis.
    """
    if not _is_plain(layer):
        return False
    kernel, strides, dilation = _geometry(layer)
    if (*kernel, *strides) == (1, 1, 1, 1):
        return True
    image = _image(layer)
    if layer.padding != "valid" or dilation != (1, 1) or image is None:
        return False
    return conv_windows.step_between_windows(image, kernel, strides) is not None


def _is_plain(layer: Any) -> bool:
    """Return True for a convolution of all channels."""
    return (
        layer.data_format == "channels_last"
        and getattr(layer, "groups", 1) == 1
        and not hasattr(layer, "depth_multiplier")
    )


def _geometry(layer: Any) -> tuple[tuple[int, int], tuple[int, int], tuple[int, int]]:
    """Return kernel, strides and dilation of a Conv1D or Conv2D, down and right each."""
    taps = layer.kernel.shape[:-2]
    sizes = ((1,) * (2 - len(taps)) + tuple(x) for x in (taps, layer.strides, layer.dilation_rate))
    kernel, strides, dilation = sizes
    return kernel, strides, dilation


def _conv_shape(layer: Any) -> ConvShape | None:
    """Return the shape of a convolution on a fixed image; None for another kind."""
    image = _image(layer)
    if image is None or not _is_plain(layer) or layer.padding not in ("same", "valid"):
        return None
    kernel, strides, dilation = _geometry(layer)
    channels, units = layer.kernel.shape[-2:]
    padding, inputs = Padding[layer.padding.upper()], tuple(image)
    try:
        window = ConvWindow(kernel, channels, strides, dilation, padding)
    except ValueError:  # more taps than the operator takes
        return None
    outputs, bias = window.output_shape(inputs, units), parameter_bytes_of(layer)
    weights = (units, *kernel, channels)
    return ConvShape(weights, inputs, outputs, strides, padding, bias, dilation)


def parameter_bytes_of(layer: Any) -> int:
    """Return what an int8 file stores of a Keras layer beside its weights."""
    bias, kernel = getattr(layer, "bias", None), getattr(layer, "kernel", None)
    if bias is not None:
        return parameter_bytes(math.prod(bias.shape))
    return 0 if kernel is None else parameter_bytes(kernel.shape[-1], has_bias=False)


def _image(layer: Any) -> list[int] | None:
    """Return the input shape [1, height, width, channels], or None if it is not fixed."""
    try:
        sizes = layer.input.shape[1:]
    except (AttributeError, ValueError):  # never called on a symbolic input, or several times
        return None
    return None if None in sizes else [1] * (4 - len(sizes)) + list(sizes)


def _positions(layer: Any) -> list[int]:
    """Return the shape of the output positions of one inference."""
    try:
        positions = layer.output.shape[1:-1]
    except (AttributeError, ValueError):  # never called on a symbolic input, or several times
        return []
    return [size or 1 for size in positions]


def depthwise_shape(layer: Any) -> DepthwiseShape:
    """Return the shape of a DepthwiseConv2D.

    Raises:
        Unsupported: its cost is not known; the message is the reason.
    """
    if layer.data_format != "channels_last":
        raise Unsupported(f"{layer.data_format}: no kernel")
    _, *image, channels = fixed(layer.input.shape)
    return DepthwiseShape(
        (image[0], image[1]),
        channels,
        two(layer.kernel_size),
        two(layer.strides),
        layer.padding == "same",
        layer.depth_multiplier,
        dilation=two(layer.dilation_rate),
        parameter_bytes=parameter_bytes_of(layer),
    )


def fixed(shape: tuple[int | None, ...]) -> tuple[int, ...]:
    """Return `shape` with a batch of 1. Raises Unsupported where another size is open."""
    if None in shape[1:]:
        raise Unsupported(f"image of open size {list(shape[1:])}")
    return (1, *(int(size or 1) for size in shape[1:]))


def two(value: Any) -> tuple[int, int]:
    """Return a size down and one to the right, of a pair or of one number for both."""
    down, right = np.broadcast_to(value, 2).tolist()
    return down, right
