"""Instructions of TFLM's int8 CONV_2D on CMSIS-NN's kernels on a target.

They are a sum of terms. The coefficients are fitted here, by least squares of the relative error,
to measured counts (`data/dense_conv_cmsis_nn.json`, which also holds counts outside the fit). On
`host`, costs are nanoseconds in LiteRT (`host`). 1x1 convolutions have a model of their own
(`pointwise_conv`). With Helium, so do convolutions along one row: windows overlap in memory, so
only those that reach over an edge are copied.
"""

from __future__ import annotations

import functools
import math

import numpy as np

from tflm_sparsesep.converters.cost import fully_connected, host, pointwise_conv
from tflm_sparsesep.converters.cost.data import load
from tflm_sparsesep.converters.cost.fit import Vector, fit
from tflm_sparsesep.converters.targets import get_target

_FILE = "dense_conv_cmsis_nn.json"
_HELIUM_COLS, _HELIUM_PIXELS = 16, 4
# CMSIS-NN reads the windows of a row in place if they start at words.
_WORD = 4


def dense_instructions(
    target: str,
    weights_shape: tuple[int, ...],
    output_shape: tuple[int, ...],
    *,
    strides: tuple[int, int] = (1, 1),
    edges: tuple[int, int] = (0, 0),
) -> int:
    """Return the instructions of one inference (nanoseconds on `host`).

    Args:
        target: a name of `targets.TARGETS`.
        weights_shape: [units, height, width, channels].
        output_shape: [batch, height, width, units].
        strides: down, right.
        edges: columns of the output whose windows reach over the left and the right edge
            (`edge_windows`).
    """
    units, height, width, channels = weights_shape
    batch, rows, columns = output_shape[:3]
    pixels = batch * rows * columns
    if height * width == 1 and strides == (1, 1):
        return pointwise_conv.dense_instructions(target, units, channels, pixels)
    if target == "host":
        return host.convolution_nanoseconds(pixels, units, height * width, channels)
    if height * width == 1:
        calls = batch * rows
        return pointwise_conv.dense_instructions(target, units, channels, columns, calls=calls)
    is_row = height == rows == 1 and strides[1] * channels % _WORD == 0
    if is_row and get_target(target).has_mve:
        parts = [edges[0], columns - sum(edges), edges[1]] * batch
        terms = pointwise_conv.operator_terms(target, parts, width * channels, units)
        return round(float(np.dot(pointwise_conv.coefficients(target), terms)))
    terms = _terms(target, (batch * rows, columns), units, (height, width), channels)
    return round(float(np.dot(_coefficients(target), terms)))


def edge_windows(size: int, taps: int, stride: int, *, same: bool) -> tuple[int, int]:
    """Return how many windows CMSIS-NN pads at the start and at the end of a row of `size`."""
    outputs = -(-size // stride)
    padding = max(0, (outputs - 1) * stride + taps - size) if same else 0
    return -(-(padding // 2) // stride), -(-(padding - padding // 2) // stride)


def float_instructions(
    target: str, pixels: int, units: int, taps: int, channels: int, *, inside: float = 1.0
) -> int:
    """Return the instructions of a float32 convolution (nanoseconds on `host`), of TFLM's kernel.

    A lower estimate: a product takes at least what it takes in TFLM's fully-connected kernel.

    Args:
        target: a name of `targets.TARGETS`.
        pixels: of the output, of all images.
        units, taps, channels: of the weights.
        inside: fraction of the products with a pixel of the image; TFLM passes over the others.
    """
    if target == "host":
        return host.convolution_nanoseconds(pixels, units, taps, channels, "float32")
    per_vector = fully_connected.dense_instructions(
        target, units, taps * channels, pixels, dtype="float32"
    )
    return round(inside * per_vector)


def measured_output(fields: list[int]) -> tuple[int, int]:
    """Return height and width of the output of a row of `data/dense_conv_cmsis_nn.json`."""
    height, width, _, _, *kernel, down, right, valid = fields
    less = [taps - 1 if valid else 0 for taps in kernel]
    return -(-(height - less[0]) // down), -(-(width - less[1]) // right)


@functools.cache
def _coefficients(target: str) -> Vector:
    data = load(_FILE)
    terms = []
    for fields in data["shapes"]:
        _, _, channels, units, *kernel = fields[:6]
        output = measured_output(fields)
        terms.append(_terms(target, output, units, (kernel[0], kernel[1]), channels))
    return fit(terms, data["targets"][target])


def _terms(
    target: str, output: tuple[int, int], units: int, kernel: tuple[int, int], channels: int
) -> list[float]:
    """Return the terms of a kernel that copies windows and multiplies a few of them at once.

    It takes four inputs of two windows at once, with Helium 16 of four.
    """
    pixels, taps = math.prod(output), math.prod(kernel)
    cols = taps * channels
    copies = [pixels * kernel[0], pixels, output[0], 1.0]
    if get_target(target).has_mve:
        vectors = -(-cols // _HELIUM_COLS)
        fours, single = divmod(pixels, _HELIUM_PIXELS)
        return [
            *(n * units * m for n in (fours, single) for m in (vectors, 1)),
            *(pixels * taps * n for n in (1, -(-channels // _HELIUM_COLS))),
            *copies,
        ]
    quads, rest = divmod(cols, 4)
    return [
        *(pixels * units * n for n in (quads, rest, 1)),
        *(pixels * taps * n for n in (1, channels // 4, channels % 4)),
        *(pixels * n for n in (quads, rest)),
        *(pixels % 2 * units * n for n in (cols, 1)),
        *(units % 2 * pixels * n for n in (cols, 1)),
        *copies,
    ]
