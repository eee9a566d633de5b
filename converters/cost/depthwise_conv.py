"""Executed instructions of CMSIS-NN's int8 DEPTHWISE_CONV_2D on a target.

CMSIS-NN has several kernels (`arm_depthwise_conv_wrapper_s8` chooses): one for 3x3 taps, one that
copies what an output looks at to 16 bits first, on cores with the DSP extension or Helium, and
plain loops. Each is a sum of terms with coefficients, none negative, fitted here by least squares
of the relative error to measured counts (`data/depthwise_cmsis_nn.json`, which also says how
far off the sum is on shapes outside the fit). On `host` it is the nanoseconds of so many products
by XNNPACK (`host_cost`).
"""

from __future__ import annotations

import functools
import importlib.resources
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tflm_sparsesep.converters.cost import fit as fitted_counts
from tflm_sparsesep.converters.cost import host as host_cost
from tflm_sparsesep.converters.cost import separable_conv
from tflm_sparsesep.converters.targets import get_target

# Channels that the kernels take at once, and that the one for Helium copies at once.
_QUAD = 4
_HELIUM_BLOCK = 124
_VECTOR = 16
# One input channel and more outputs than this are a convolution to Helium.
_HELIUM_MOST_UNITS = 8


@dataclass(frozen=True)
class DepthwiseShape:
    """What the cost depends on.

    image: height and width of the input. channels: of the input; each gives `multiplier` outputs.
    kernel, strides, dilation: down, right. same: zeros around, as TensorFlow pads, instead of
    VALID.
    """

    image: tuple[int, int]
    channels: int
    kernel: tuple[int, int]
    strides: tuple[int, int] = (1, 1)
    same: bool = True
    multiplier: int = 1
    batch: int = 1
    dilation: tuple[int, int] = (1, 1)

    @property
    def units(self) -> int:
        """Channels of the output."""
        return self.channels * self.multiplier

    @property
    def output(self) -> tuple[int, int]:
        """Height and width of the output."""
        rows, columns = (len(self._taps(axis)) for axis in (0, 1))
        return rows, columns

    @property
    def seen(self) -> tuple[int, int]:
        """Taps that fall onto the image, summed over the output's rows and over its columns."""
        down, right = (sum(self._taps(axis)) for axis in (0, 1))
        return down, right

    @property
    def padding(self) -> tuple[int, int]:
        """Zeros above and to the left."""
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

    def _taps(self, axis: int) -> list[int]:
        """Of each output along an axis, those on the image."""
        size, step = self.image[axis], self.dilation[axis]
        starts = [n * self.strides[axis] - self._pad(axis) for n in range(self._outputs(axis))]
        places = [[start + k * step for k in range(self.kernel[axis])] for start in starts]
        return [sum(0 <= place < size for place in taps) for taps in places]


def depthwise_conv(target: str, shape: DepthwiseShape) -> int:
    """Instructions of one inference; `target` is a name of `targets.TARGETS`."""
    if target == "host":
        places = math.prod(shape.output) * shape.batch
        return host_cost.multiply_accumulates(places * math.prod(shape.kernel) * shape.units)
    kernel = _kernel(target, shape)
    if kernel == "convolution":
        weights = (shape.units, *shape.kernel, 1)
        output = (shape.batch, *shape.output, shape.units)
        return separable_conv.dense_conv(target, weights, output)
    terms = _terms(kernel, shape)
    return round(float(np.dot(_coefficients(target, kernel), terms)))


def held_out_error(target: str) -> float:
    """The largest relative error on measured shapes that are not in the fit."""
    data = _data()
    counts = data["held_out"]["targets"][target]
    pairs = zip(data["held_out"]["shapes"], counts, strict=True)
    errors = [abs(depthwise_conv(target, _shape(f)) / int(count) - 1) for f, count in pairs]
    return max(errors)


@functools.cache
def _data() -> dict[str, Any]:
    files = importlib.resources.files(__package__)
    text = files.joinpath("data", "depthwise_cmsis_nn.json").read_text()
    data: dict[str, Any] = json.loads(text)
    return data


def _shape(fields: Sequence[int]) -> DepthwiseShape:
    """A row of the file."""
    height, width, channels, multiplier, *kernel, down, right, valid = fields
    return DepthwiseShape(
        (height, width), channels, (kernel[0], kernel[1]), (down, right), not valid, multiplier
    )


def _kernel(target: str, shape: DepthwiseShape) -> str:
    """What `arm_depthwise_conv_wrapper_s8` runs."""
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
    """What a kernel's instructions are made of."""
    rows, columns = shape.output
    down, right = shape.seen
    places, seen, taps = rows * columns, down * right, math.prod(shape.kernel)
    quads, rest = divmod(shape.channels, _QUAD)
    if kernel == "3x3":
        return [
            *(n * quads for n in (places, down * columns, seen)),
            *(n * rest for n in (places, down * columns, seen)),
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
            *(n * blocks for n in (places, places * shape.kernel[0], seen, places * taps - seen)),
            *(n * vectors for n in (seen, places * taps - seen)),
            1.0,
        ]
    units = shape.units // (_QUAD if kernel == "quads" else 1) * shape.batch
    inputs = places * shape.channels * shape.batch
    return [*(n * units for n in (places, down * columns, seen)), inputs, places, rows, 1.0]


@functools.cache
def _coefficients(target: str, kernel: str) -> npt.NDArray[np.float64]:
    data = _data()
    counted = zip(data["shapes"], data["targets"][target], strict=True)
    rows = [(_shape(fields), count) for fields, count in counted]
    rows = [(shape, count) for shape, count in rows if _kernel(target, shape) == kernel]
    terms = [_terms(kernel, shape) for shape, _ in rows]
    return fitted_counts.fit(terms, [count for _, count in rows])
