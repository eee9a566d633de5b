"""A Keras layer as the device runs it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from tflm_sparsesep.converters.blob.format import MAX_DIM
from tflm_sparsesep.converters.cost.cost import Cost
from tflm_sparsesep.converters.cost.shapes import BIAS_BYTES, MatrixShape
from tflm_sparsesep.converters.layers import windows as conv_windows


@dataclass(frozen=True)
class DeviceLayer:
    """A Dense or convolutional layer as the device runs it.

    Attributes:
        shape: the weights as a matrix [outputs, taps * inputs], and the vectors of one inference.
        has_kernel: a sparse kernel exists for this kind of layer.
    """

    shape: MatrixShape
    has_kernel: bool

    @classmethod
    def of(cls, layer: Any) -> DeviceLayer:
        """Describe a built Keras layer with a kernel [..., inputs, outputs]."""
        *taps, channels, rows = layer.kernel.shape
        cols = math.prod(taps) * channels
        bias = getattr(layer, "bias", None)
        shape = MatrixShape(
            rows,
            cols,
            _vectors(layer),
            taps=math.prod(taps) if taps else 0,
            bias_bytes=0 if bias is None else BIAS_BYTES * math.prod(bias.shape),
        )
        return cls(shape, has_kernel=_is_matrix(layer) and max(rows, cols) <= MAX_DIM)

    @property
    def dense_bytes(self) -> int:
        """Bytes of int8 weights and int32 biases in the dense operator."""
        return self.shape.rows * self.shape.cols + self.shape.bias_bytes

    def dense(self, target: str) -> Cost:
        """Return the cost of the dense operator.

        Its instructions count as 0 if no sparse kernel competes with it: no goal can change them.
        """
        if self.has_kernel:
            return self.shape.dense(target)
        return Cost(self.dense_bytes, 0)


def _is_matrix(layer: Any) -> bool:
    """Return True if the layer multiplies contiguous vectors of its input by a matrix.

    The vectors of a convolution are its pixels, or windows along one axis.
    """
    *taps, _, _ = layer.kernel.shape
    if not taps:
        return True
    if (
        layer.data_format != "channels_last"
        or getattr(layer, "groups", 1) != 1
        or hasattr(layer, "depth_multiplier")
    ):
        return False
    kernel, strides, dilation = (
        [1] * (2 - len(taps)) + list(size) for size in (taps, layer.strides, layer.dilation_rate)
    )
    if (*kernel, *strides) == (1, 1, 1, 1):
        return True
    image = _image(layer)
    if layer.padding != "valid" or dilation != [1, 1] or image is None:
        return False
    return conv_windows.step_between_windows(image, kernel, strides) is not None


def _image(layer: Any) -> list[int] | None:
    """Return the input shape [1, height, width, channels], or None if it is not fixed."""
    try:
        sizes = layer.input.shape[1:]
    except (AttributeError, ValueError):  # never called on a symbolic input, or several times
        return None
    return None if None in sizes else [1] * (4 - len(sizes)) + list(sizes)


def _vectors(layer: Any) -> int:
    """Return the output positions of one inference."""
    try:
        positions = layer.output.shape[1:-1]
    except (AttributeError, ValueError):  # never called on a symbolic input, or several times
        return 1
    return math.prod(size or 1 for size in positions)
