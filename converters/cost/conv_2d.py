"""Instructions of CMSIS-NN's int8 CONV_2D on a target.

They are a sum of terms. The coefficients are fitted here, by least squares of the relative error,
to measured counts (`data/dense_conv_cmsis_nn.json`, which also holds counts outside the fit: those
are off by at most 3%, strided 1x1 convolutions by 7%). On `host`, costs are nanoseconds in LiteRT
(`host`). 1x1 convolutions of stride 1 have a model of their own
(`pointwise_conv`); strided ones are its kernel, row by row.
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


def dense_instructions(
    target: str, weights_shape: tuple[int, ...], output_shape: tuple[int, ...]
) -> int:
    """Return the instructions of one inference (nanoseconds on `host`).

    Shapes are [units, height, width, channels] and [batch, height, width, units].
    """
    units, height, width, channels = weights_shape
    pixels = math.prod(output_shape[:3])
    if target == "host":
        return host.convolution_nanoseconds(pixels, units, height * width, channels)
    if height * width == 1:
        row = pointwise_conv.dense_instructions(target, units, channels, output_shape[2])
        return pixels // output_shape[2] * row
    terms = _terms(target, pixels, units, (height, width), channels)
    return round(float(np.dot(_coefficients(target), terms)))


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


@functools.cache
def _coefficients(target: str) -> Vector:
    data = load(_FILE)
    terms = []
    for height, width, channels, units, *kernel, down, right, valid in data["shapes"]:
        less = [taps - 1 if valid else 0 for taps in kernel]
        pixels = math.ceil((height - less[0]) / down) * math.ceil((width - less[1]) / right)
        terms.append(_terms(target, pixels, units, (kernel[0], kernel[1]), channels))
    return fit(terms, data["targets"][target])


def _terms(
    target: str, pixels: int, units: int, kernel: tuple[int, int], channels: int
) -> list[float]:
    """Return the terms of a kernel that copies windows and multiplies a few of them at once.

    It takes four inputs of two windows at once, with Helium 16 of four.
    """
    taps = math.prod(kernel)
    cols = taps * channels
    if get_target(target).has_mve:
        vectors = -(-cols // _HELIUM_COLS)
        return [
            pixels * units * vectors,
            pixels * units,
            pixels * taps,
            pixels * taps * -(-channels // _HELIUM_COLS),
            pixels * kernel[0],
            pixels,
            pixels % _HELIUM_PIXELS * units * vectors,
        ]
    quads, rest = divmod(cols, 4)
    return [
        *(pixels * units * n for n in (quads, rest, 1)),
        *(pixels * taps * n for n in (1, channels // 4, channels % 4)),
        pixels * kernel[0],
        pixels,
        pixels % 2 * units * cols,
        units % 2 * pixels * cols,
    ]
