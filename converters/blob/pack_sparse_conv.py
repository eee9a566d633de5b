"""A CONV_2D with a sparse kernel to the blob of SPARSE_CONV_2D, and back.

The layout of the blob is specified in `kernels/include/sparsesep/sparse_conv.h`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tflm_sparsesep.converters.blob.format import FullyConnectedOptions, Layout
from tflm_sparsesep.converters.blob.pack import PackableWeights, UnpackedWeights, pack, unpack
from tflm_sparsesep.converters.blob.requantization import INT8_MAX, INT8_MIN
from tflm_sparsesep.converters.blob.separable_format import Padding
from tflm_sparsesep.converters.blob.sparse_conv_format import (
    HEADER,
    MAGIC,
    MAX_CHANNELS,
    MAX_KERNEL,
    MAX_SHIFT,
    RESIDUAL_KINDS,
    SHIFT_BIT,
    SUM_SHIFT_BIT,
    VERSION,
)

Pair = tuple[int, int]


@dataclass(frozen=True)
class ConvWindow:
    """What the window of an output pixel is.

    Attributes:
        kernel: height and width, 1..255, as strides and dilations.
        channels: of the input, 1..65535.
        padding: TFLite's, the same for both dimensions.

    Raises:
        ValueError: a size is not accepted.
    """

    kernel: Pair
    channels: int
    strides: Pair = (1, 1)
    dilations: Pair = (1, 1)
    padding: Padding = Padding.SAME

    def __post_init__(self) -> None:
        sizes = (*self.kernel, *self.strides, *self.dilations)
        if not all(1 <= size <= MAX_KERNEL for size in sizes):
            raise ValueError(
                f"kernel, strides and dilations are {sizes}, accepted: 1..{MAX_KERNEL}"
            )
        if not 1 <= self.channels <= MAX_CHANNELS:
            raise ValueError(f"{self.channels} channels, accepted: 1..{MAX_CHANNELS}")

    @property
    def cols(self) -> int:
        """Weights of one output channel."""
        return self.kernel[0] * self.kernel[1] * self.channels

    def output_size(self, size: int, axis: int) -> int:
        """Return the pixels along an axis, 0 down, of `size` pixels; 0 where there is no output."""
        stride = self.strides[axis]
        if self.padding is Padding.SAME:
            return -(-size // stride)
        reach = (self.kernel[axis] - 1) * self.dilations[axis] + 1
        return max(0, (size - reach) // stride + 1)

    def output_shape(self, inputs: tuple[int, ...], units: int) -> tuple[int, int, int, int]:
        """Return [batch, height, width, units] for inputs [batch, height, width, channels]."""
        height, width = (self.output_size(inputs[1 + axis], axis) for axis in (0, 1))
        return inputs[0], height, width, units


@dataclass(frozen=True)
class Residual:
    """The second tensor that is added to the outputs of a convolution, as TFLM's int8 ADD adds.

    Attributes:
        narrow: "other" if the second tensor has the smaller scale, "output" if the convolution's.
        zero_point: of the second tensor.
        sum_zero_point, activation_min, activation_max: of the sum.
        multiplier: of the operand with the smaller scale, Q0.31.
        shift: of it, to the right, 0..31.
        sum_multiplier: of the sum, Q0.31.
        sum_shift: of it, to the right, 1..31.

    Raises:
        ValueError: a number is not accepted.
    """

    narrow: str
    zero_point: int
    sum_zero_point: int
    activation_min: int
    activation_max: int
    multiplier: int
    shift: int
    sum_multiplier: int
    sum_shift: int

    def __post_init__(self) -> None:
        if self.narrow not in RESIDUAL_KINDS:
            raise ValueError(f"narrow is {self.narrow!r}, accepted: {', '.join(RESIDUAL_KINDS)}")
        if not (0 <= self.shift <= MAX_SHIFT and 1 <= self.sum_shift <= MAX_SHIFT):
            raise ValueError(
                f"right shifts are {self.shift} and {self.sum_shift}, accepted: 0..{MAX_SHIFT} and "
                f"1..{MAX_SHIFT}"
            )
        limits = self.activation_min, self.activation_max
        numbers = (self.zero_point, self.sum_zero_point, *limits)
        if not all(INT8_MIN <= n <= INT8_MAX for n in numbers) or limits[0] > limits[1]:
            raise ValueError(f"zero points and limits are {numbers}, accepted: int8, in order")

    def write(self, header: npt.NDArray[Any]) -> None:
        """Set the fields of a header of a blob."""
        kind = 1 + RESIDUAL_KINDS.index(self.narrow)
        header["residual"] = kind | self.shift << SHIFT_BIT | self.sum_shift << SUM_SHIFT_BIT
        for name in header["addition"].dtype.names or ():
            header["addition"][name] = getattr(self, name)

    @classmethod
    def read(cls, header: npt.NDArray[Any]) -> Residual | None:
        """Inverse of `write`; None for a header without a residual."""
        bits = int(header["residual"])
        if not bits:
            return None
        addition = header["addition"]
        return cls(
            narrow=RESIDUAL_KINDS[(bits & 3) - 1],
            shift=bits >> SHIFT_BIT & MAX_SHIFT,
            sum_shift=bits >> SUM_SHIFT_BIT & MAX_SHIFT,
            **{name: int(addition[name]) for name in addition.dtype.names or ()},
        )


def to_columns(weights: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return the kernel [units, height, width, channels] as the matrix that is packed.

    Its columns are taps x channels, taps going down first.

    Example:
        >>> to_columns(np.arange(4).reshape(1, 2, 2, 1)).tolist()
        [[0, 2, 1, 3]]
    """
    columns: npt.NDArray[Any] = weights.transpose(0, 2, 1, 3).reshape(len(weights), -1)
    return columns


def from_columns(matrix: npt.NDArray[Any], window: ConvWindow) -> npt.NDArray[Any]:
    """Inverse of `to_columns`."""
    height, width = window.kernel
    by_column = matrix.reshape(len(matrix), width, height, window.channels)
    kernel: npt.NDArray[Any] = by_column.transpose(0, 2, 1, 3)
    return kernel


def pack_conv(
    window: ConvWindow, options: FullyConnectedOptions, layer: PackableWeights, layout: Layout
) -> bytes:
    """Return the blob of a convolution.

    Args:
        window: the geometry.
        options: zero points and activation limits; no step.
        layer: the matrix of `to_columns`.
        layout: of the packed weights.

    Raises:
        ValueError: as `pack`; or the weights do not fit the window.
    """
    if layer.weights.shape[1] != window.cols:
        raise ValueError(
            f"weights have {layer.weights.shape[1]} columns, the window has {window.cols}"
        )
    header = np.zeros((), HEADER)
    header["magic"], header["version"], header["padding"] = MAGIC, VERSION, window.padding
    for name in ("kernel", "stride", "dilation"):
        pair = {"kernel": window.kernel, "stride": window.strides, "dilation": window.dilations}
        header[f"{name}_height"], header[f"{name}_width"] = pair[name]
    header["channels"] = window.channels
    header["params"]["input_zero_point"] = options.input_zero_point
    header["params"]["output_zero_point"] = options.output_zero_point
    header["params"]["activation_min"] = options.activation_min
    header["params"]["activation_max"] = options.activation_max
    return header.tobytes() + pack(layer, layout)


@dataclass(frozen=True)
class UnpackedConv:
    """What a blob says: the geometry, zero points and limits, the matrix, what is added."""

    window: ConvWindow
    options: FullyConnectedOptions
    weights: UnpackedWeights
    residual: Residual | None = None


def unpack_conv(blob: bytes) -> UnpackedConv:
    """Inverse of `pack_conv`, for a blob that `native.validate_sparse_conv` has accepted."""
    window, options = unpack_window(blob)
    header = np.frombuffer(blob, HEADER, count=1)[0]
    return UnpackedConv(window, options, unpack(blob[HEADER.itemsize :]), Residual.read(header))


def with_residual(blob: bytes, residual: Residual) -> bytes:
    """Return the blob of a convolution, with what is added to its outputs."""
    header = np.frombuffer(blob, HEADER, count=1).copy().reshape(())
    residual.write(header)
    return header.tobytes() + blob[HEADER.itemsize :]


def unpack_window(blob: bytes) -> tuple[ConvWindow, FullyConnectedOptions]:
    """Return what the header of a blob says: the geometry, zero points and limits.

    Raises:
        ValueError: `blob` does not begin with a header, or a size is not accepted.
    """
    if len(blob) < HEADER.itemsize:
        raise ValueError(f"{len(blob)} bytes, a convolution begins with {HEADER.itemsize}")
    header = np.frombuffer(blob, HEADER, count=1)[0]
    if header["magic"] != MAGIC or header["version"] != VERSION:
        raise ValueError(f"not a sparse convolution of version {VERSION}")
    height, width = (
        [int(header[f"{name}_{axis}"]) for name in ("kernel", "stride", "dilation")]
        for axis in ("height", "width")
    )
    kernel, strides, dilations = zip(height, width, strict=True)
    window = ConvWindow(
        kernel, int(header["channels"]), strides, dilations, Padding(int(header["padding"]))
    )
    return window, FullyConnectedOptions(*(int(value) for value in header["params"]))


def has_residual(blob: bytes) -> bool:
    """Return True for the blob of a convolution that adds a second tensor to its outputs."""
    return bool(np.frombuffer(blob, HEADER, count=1)[0]["residual"])
