"""Layers as shapes, with the cost of their dense form."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Protocol

from tflm_sparsesep.converters.blob.format import Layout
from tflm_sparsesep.converters.blob.pack_sparse_conv import ConvWindow
from tflm_sparsesep.converters.blob.separable_format import MAX_KERNEL, Padding
from tflm_sparsesep.converters.blob.size import PackedSize
from tflm_sparsesep.converters.blob.sparse_conv_format import HEADER
from tflm_sparsesep.converters.cost import conv_2d, fully_connected, pointwise_conv, sparse_conv
from tflm_sparsesep.converters.cost.cost import Cost

_BIAS_BYTES = 4
# A scale, float32, and a zero_point, int64: a file stores them for weights, and again for biases.
_QUANTIZATION_BYTES = 12


def parameter_bytes(units: int, *, has_bias: bool = True, is_float: bool = False) -> int:
    """Return what a .tflite file stores of a dense layer beside its weights.

    Those are the bias of each unit, and in int8 layers the quantization of each channel.
    """
    quantization = 0 if is_float else _QUANTIZATION_BYTES
    return units * (quantization + (_BIAS_BYTES + quantization if has_bias else 0))


class SparseShape(Protocol):
    """The shape of a layer that a sparse kernel could run."""

    def dense(self, target: str) -> Cost:
        """Return the cost of the dense int8 layer."""

    @property
    def rows(self) -> int:
        """Output units or channels."""

    @property
    def cols(self) -> int:
        """Weights of one of them."""

    def sparse(self, target: str, layout: Layout, size: PackedSize) -> Cost:
        """Return the cost in a layout that is measured on the target, packed to `size`."""


@dataclass(frozen=True)
class MatrixShape:
    """A layer that multiplies vectors by a matrix.

    Attributes:
        rows, cols: output and input channels.
        vectors: input vectors of one inference: the batch, or the windows of a convolution.
        taps: of a convolution, 1x1 or along one axis, whose windows are the vectors; 0 for
            fully-connected layers.
        parameter_bytes: bias and quantization of the dense layer, as a file stores them.
        lines: of the output of a convolution along one axis, of all images.
        rank: dimensions of the output.
    """

    rows: int
    cols: int
    vectors: int = 1
    taps: int = 0
    parameter_bytes: int = 0
    lines: int = 1
    rank: int = 2

    def __str__(self) -> str:
        taps = f"1x{self.taps} " if self.taps else ""
        times = f" x{self.vectors}" if self.vectors > 1 else ""
        return f"{taps}{self.cols // max(self.taps, 1)}->{self.rows}{times}"

    def dense(self, target: str) -> Cost:
        """Return the cost of the dense int8 layer."""
        return Cost(self.rows * self.cols + self.parameter_bytes, self.dense_instructions(target))

    def sparse(self, target: str, layout: Layout, size: PackedSize) -> Cost:
        """Return the cost in a layout that is measured on the target, packed to `size`."""
        time = fully_connected.sparse_instructions(target, layout, size, self.vectors)
        return Cost(size.bytes, time)

    def resized(self, rows: int, channels: int) -> MatrixShape:
        """Return the layer with other numbers of outputs and of inputs per tap."""
        parameter_bytes = self.parameter_bytes // self.rows * rows
        cols = channels * max(self.taps, 1)
        return dataclasses.replace(self, rows=rows, cols=cols, parameter_bytes=parameter_bytes)

    def dense_instructions(self, target: str, dtype: str = "int8") -> int:
        """Return the instructions of the dense operator; `dtype` is int8 or float32."""
        if self.taps and dtype == "float32":
            channels = self.cols // self.taps
            return conv_2d.float_instructions(target, self.vectors, self.rows, self.taps, channels)
        if self.taps == 1:
            return pointwise_conv.dense_instructions(target, self.rows, self.cols, self.vectors)
        if self.taps > 1:
            weights = (self.rows, 1, self.taps, self.cols // self.taps)
            output = (1, self.lines, self.vectors // self.lines, self.rows)
            return conv_2d.dense_instructions(target, weights, output)
        return fully_connected.dense_instructions(
            target, self.rows, self.cols, self.vectors, dtype=dtype, rank=self.rank
        )


@dataclass(frozen=True)
class ConvShape:
    """A convolution whose windows are in several pieces: SPARSE_CONV_2D, or separated.

    Attributes:
        weights: [units, height, width, channels].
        inputs, outputs: [batch, height, width, channels or units].
        strides: down, right.
        padding: of both axes.
        parameter_bytes: bias and quantization of the dense layer, as a file stores them.
        dilations: down, right.
    """

    weights: tuple[int, int, int, int]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    strides: tuple[int, int]
    padding: Padding
    parameter_bytes: int = 0
    dilations: tuple[int, int] = (1, 1)

    def __str__(self) -> str:
        units, height, width, channels = self.weights
        image = "x".join(map(str, self.inputs[1:3]))
        return f"{height}x{width} {channels}->{units} on {image}"

    @property
    def window(self) -> ConvWindow:
        """The window of an output pixel."""
        kernel, channels = self.weights[1:3], self.weights[3]
        return ConvWindow(kernel, channels, self.strides, self.dilations, self.padding)

    @property
    def is_separable(self) -> bool:
        """True if a separated form exists: several taps both ways, not too many, not dilated."""
        taps = self.weights[1:3]
        return (
            self.dilations == (1, 1) and min(taps) > 1 and max(*taps, *self.strides) <= MAX_KERNEL
        )

    @property
    def rows(self) -> int:
        """Output channels."""
        return self.weights[0]

    @property
    def cols(self) -> int:
        """Weights of an output channel."""
        return math.prod(self.weights[1:])

    def resized(self, rows: int, channels: int) -> ConvShape:
        """Return the layer with other numbers of outputs and inputs."""
        return dataclasses.replace(
            self,
            weights=(rows, *self.weights[1:3], channels),
            inputs=(*self.inputs[:3], channels),
            outputs=(*self.outputs[:3], rows),
            parameter_bytes=self.parameter_bytes // self.rows * rows,
        )

    @property
    def most_channels(self) -> int:
        """The most intermediate channels whose two stages have no more weights than the layer."""
        units, height, width, channels = self.weights
        return math.prod(self.weights) // (height * channels + width * units)

    def dense(self, target: str) -> Cost:
        """Return the cost of the dense int8 layer."""
        instructions = sparse_conv.dense_instructions(target, self.window, self.inputs, self.rows)
        return Cost(math.prod(self.weights) + self.parameter_bytes, instructions)

    def sparse(self, target: str, layout: Layout, size: PackedSize) -> Cost:
        """Return the cost in a layout that is measured on the target, packed to `size`."""
        time = sparse_conv.sparse_instructions(target, layout, size, self.window, self.inputs)
        return Cost(size.bytes + HEADER.itemsize, time)
