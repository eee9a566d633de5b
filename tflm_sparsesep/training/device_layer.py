"""What a layer of a Keras model becomes on the device."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from tflm_sparsesep.converters.blob.format import MAX_DIM
from tflm_sparsesep.converters.cost.cost import Cost
from tflm_sparsesep.converters.cost.shapes import MatrixShape
from tflm_sparsesep.converters.layers import windows as conv_windows

_BIAS_BYTES = 4


@dataclass(frozen=True)
class DeviceLayer:
    """A layer as the device sees it.

    Attributes:
        name: as in the Keras model.
        rows, cols: of its weights as a matrix, outputs x inputs.
        vectors: input vectors of one inference: 1, or the windows of a convolution.
        taps: of a convolution; 0 for Dense layers.
        has_kernel: a sparse kernel exists for this kind of layer.
        size: weights in number.
        bias_bytes: int32 biases.
    """

    name: str
    rows: int
    cols: int
    vectors: int
    taps: int
    has_kernel: bool
    size: int
    bias_bytes: int

    @classmethod
    def of(cls, layer: Any, name: str | None = None) -> DeviceLayer:
        """Describes a built Keras layer with a kernel."""
        *taps, channels, rows = layer.kernel.shape
        cols = math.prod(taps) * channels
        bias = getattr(layer, "bias", None)
        return cls(
            name=name or layer.name,
            rows=rows,
            cols=cols,
            vectors=_vectors(layer),
            taps=math.prod(taps) if taps else 0,
            has_kernel=_is_matrix(layer) and max(rows, cols) <= MAX_DIM,
            size=math.prod(layer.kernel.shape),
            bias_bytes=0 if bias is None else _BIAS_BYTES * math.prod(bias.shape),
        )

    @property
    def dense_bytes(self) -> int:
        """Weights and biases as the dense operator stores them."""
        return self.size + self.bias_bytes

    def dense(self, target: str) -> Cost:
        """Return the cost of the dense operator, instructions as for `dense_instructions`."""
        return Cost(self.dense_bytes, self.dense_instructions(target))

    def dense_instructions(self, target: str) -> int:
        """Instructions of the dense operator; 0 where no sparse kernel competes with it."""
        return self.shape.dense(target).instructions if self.has_kernel else 0

    @property
    def shape(self) -> MatrixShape:
        """What the sparse kernel computes."""
        return MatrixShape(self.rows, self.cols, self.vectors, self.taps, self.bias_bytes)


def _is_matrix(layer: Any) -> bool:
    """Whether it multiplies vectors that lie in one piece of its input each by a matrix.

    Those of a convolution are its pixels, or its windows where they lie along one axis.
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
    """What enters, [1, height, width, channels]; None where that is not known, or open."""
    try:
        sizes = layer.input.shape[1:]
    except (AttributeError, ValueError):  # never called on a symbolic input, or several times
        return None
    return None if None in sizes else [1] * (4 - len(sizes)) + list(sizes)


def _vectors(layer: Any) -> int:
    try:
        positions = layer.output.shape[1:-1]
    except (AttributeError, ValueError):  # never called on a symbolic input, or several times
        return 1
    return math.prod(size or 1 for size in positions)
