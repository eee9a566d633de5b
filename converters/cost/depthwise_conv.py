"""Instructions of TFLM's int8 DEPTHWISE_CONV_2D on CMSIS-NN's kernels on a target.

`arm_depthwise_conv_wrapper_s8` selects one of several kernels: one for 3x3 taps; for cores with the
DSP extension or Helium, one that first copies the inputs of an output to 16 bits; and plain loops.
The instructions of each are a sum of terms. The nonnegative coefficients are fitted here, by least
squares of the relative error, to measured counts (`data/depthwise_cmsis_nn.json`, which also holds
the error on shapes outside the fit). On `host`, costs are the nanoseconds of the products in
XNNPACK (`host`).
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from tflm_sparsesep.converters.cost import conv_2d, host
from tflm_sparsesep.converters.cost.cost import Cost
from tflm_sparsesep.converters.cost.data import load
from tflm_sparsesep.converters.cost.fit import Vector, fit
from tflm_sparsesep.converters.targets import get_target

_FILE = "depthwise_cmsis_nn.json"
# Channels that the kernels compute at once, and that the Helium kernel copies at once.
_QUAD = 4
_HELIUM_BLOCK = 124
_VECTOR = 16
# With Helium, CMSIS-NN runs one input channel with more outputs than this as a convolution.
_HELIUM_MOST_UNITS = 8


@dataclass(frozen=True)
class DepthwiseShape:
    """The shape of a depthwise convolution.

    Attributes:
        image: height and width of the input.
        channels: of the input; each has `multiplier` output channels.
        kernel, strides, dilation: down, right.
        same: SAME padding as in TensorFlow; False for VALID.
        multiplier: output channels of each input channel.
        batch: images of one inference.
        parameter_bytes: of the dense layer.
    """

    image: tuple[int, int]
    channels: int
    kernel: tuple[int, int]
    strides: tuple[int, int] = (1, 1)
    same: bool = True
    multiplier: int = 1
    batch: int = 1
    dilation: tuple[int, int] = (1, 1)
    parameter_bytes: int = 0

    def __str__(self) -> str:
        height, width = self.kernel
        return f"{height}x{width} of {self.units} on {'x'.join(map(str, self.image))}"

    def dense(self, target: str) -> Cost:
        """Return the cost of the dense int8 layer."""
        weights = math.prod(self.kernel) * self.units
        return Cost(weights + self.parameter_bytes, dense_instructions(target, self))

    @property
    def is_separable(self) -> bool:
        """True for taps in both directions, dilation 1 and one output per channel."""
        return min(self.kernel) > 1 and self.multiplier == 1 and self.dilation == (1, 1)

    @property
    def stages(self) -> tuple[DepthwiseShape, DepthwiseShape]:
        """The d x 1 convolution with the vertical stride, and the 1 x e one on its output."""
        (height, width), (down, right) = self.kernel, self.strides
        first = replace(self, kernel=(height, 1), strides=(down, 1))
        return first, replace(self, image=first.output, kernel=(1, width), strides=(1, right))

    @property
    def units(self) -> int:
        """Output channels."""
        return self.channels * self.multiplier

    @property
    def output(self) -> tuple[int, int]:
        """Height and width of the output."""
        rows, columns = (self._outputs(axis) for axis in (0, 1))
        return rows, columns

    @property
    def seen(self) -> tuple[int, int]:
        """Taps inside the image, summed over the rows and over the columns of the output."""
        down, right = (self._taps(axis) for axis in (0, 1))
        return down, right

    @property
    def padding(self) -> tuple[int, int]:
        """Rows of padding above the image, and columns to its left."""
        down, right = (self._pad(axis) for axis in (0, 1))
        return down, right

    def _reach(self, axis: int) -> int:
        return (self.kernel[axis] - 1) * self.dilation[axis] + 1

    def _outputs(self, axis: int) -> int:
        size = self.image[axis] if self.same else self.image[axis] - self._reach(axis) + 1
        return max(0, -(-size // self.strides[axis]))

    def _pad(self, axis: int) -> int:
        if not self.same:
            return 0
        last = (self._outputs(axis) - 1) * self.strides[axis]
        return max(0, last + self._reach(axis) - self.image[axis]) // 2

    def _taps(self, axis: int) -> int:
        """Return the taps inside the image, summed over the outputs along an axis."""
        size, step, last = self.image[axis], self.strides[axis], self._outputs(axis) - 1
        offsets = [tap * self.dilation[axis] - self._pad(axis) for tap in range(self.kernel[axis])]
        # The tap at an offset is inside for outputs n with 0 <= n * step + offset < size.
        ranges = [(max(0, -(offset // step)), (size - 1 - offset) // step) for offset in offsets]
        return sum(max(0, min(last, end) - start + 1) for start, end in ranges)


def dense_instructions(target: str, shape: DepthwiseShape) -> int:
    """Return the instructions of one inference (nanoseconds on `host`)."""
    if target == "host":
        pixels = math.prod(shape.output) * shape.batch
        return host.products_nanoseconds(pixels * math.prod(shape.kernel) * shape.units)
    kernel = _kernel(target, shape)
    if kernel == "convolution":
        weights = (shape.units, *shape.kernel, 1)
        output = (shape.batch, *shape.output, shape.units)
        return conv_2d.dense_instructions(target, weights, output)
    terms = _terms(kernel, shape)
    return round(float(np.dot(_coefficients(target, kernel), terms)))


def measured_shape(fields: Sequence[int]) -> DepthwiseShape:
    """Return the shape in a row of `data/depthwise_cmsis_nn.json`."""
    height, width, channels, multiplier, *kernel, down, right, valid = fields
    return DepthwiseShape(
        (height, width), channels, (kernel[0], kernel[1]), (down, right), not valid, multiplier
    )


def _kernel(target: str, shape: DepthwiseShape) -> str:
    """Return the kernel that `arm_depthwise_conv_wrapper_s8` selects."""
    core = get_target(target)
    if core.has_mve and shape.channels == 1 and shape.units > _HELIUM_MOST_UNITS:
        return "convolution"
    is_plain = shape.batch == 1 and shape.dilation == (1, 1)
    if is_plain and shape.multiplier == 1:
        if not core.has_mve and shape.kernel == (3, 3) and max(shape.padding) <= 1:
            return "3x3"
        if core.has_dsp:
            return "helium" if core.has_mve else "dsp"
    return "quads" if is_plain and shape.multiplier % _QUAD == 0 else "loops"


def _terms(kernel: str, shape: DepthwiseShape) -> list[float]:
    """Return the terms of a kernel's instructions."""
    rows, columns = shape.output
    down, right = shape.seen
    places, seen, taps = rows * columns, down * right, math.prod(shape.kernel)
    quads, rest = divmod(shape.channels, _QUAD)
    if kernel == "3x3":
        return [
            *(n * quads for n in (places, down * columns, seen)),
            *(n * rest for n in (places, down * columns, seen)),
            places * (rest > 0),
            places,
            rows,
            1.0,
        ]
    if kernel == "dsp":
        return [
            *(n * places * quads for n in (1, taps // 2, taps % 2)),
            *(n * places * rest for n in (1, taps)),
            *(n * seen for n in (1, quads, rest)),
            *(n * (places * taps - seen) for n in (1, shape.channels)),
            places * shape.kernel[0],
            places,
            1.0,
        ]
    if kernel == "helium":
        blocks, last = divmod(shape.channels, _HELIUM_BLOCK)
        groups = blocks * (_HELIUM_BLOCK // _QUAD) + -(-last // _QUAD)
        vectors = blocks * (_HELIUM_BLOCK // _VECTOR + 1) + -(-last // _VECTOR)
        blocks += last > 0
        fours, single = divmod(places, 4)
        return [
            *(n * groups for n in (fours, fours * taps, single, single * taps)),
            *(n * blocks for n in (places * shape.kernel[0], seen, places * taps - seen)),
            *(n * vectors for n in (seen, places * taps - seen)),
            *(n * blocks for n in (rows, fours, single)),
            1.0,
        ]
    units = shape.units // (_QUAD if kernel == "quads" else 1) * shape.batch
    inputs = places * shape.channels * shape.batch
    # With Helium, compilers vectorize over the taps of one channel: they are contiguous.
    products = (0, seen) if shape.channels == 1 else (seen, 0)
    return [*(n * units for n in (places, down * columns, *products)), inputs, places, rows, 1.0]


@functools.cache
def _coefficients(target: str, kernel: str) -> Vector:
    data = load(_FILE)
    counted = zip(data["shapes"], data["targets"][target], strict=True)
    rows = [(measured_shape(fields), count) for fields, count in counted]
    rows = [(shape, count) for shape, count in rows if _kernel(target, shape) == kernel]
    terms = [_terms(kernel, shape) for shape, _ in rows]
    return fit(terms, [count for _, count in rows])
