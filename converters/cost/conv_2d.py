"""Instructions of CMSIS-NN's int8 CONV_2D on a target.

They are a sum of terms. The coefficients are fitted here, by least squares of the relative error,
to measured counts (`data/dense_conv_cmsis_nn.json`); no shape in that file is off by more than 6%.
On `host`, costs are nanoseconds in LiteRT (`host`). 1x1 convolutions of stride 1 have a model of
their own (`pointwise_conv`).
"""

from __future__ import annotations

import functools
import math

import numpy as np

from tflm_sparsesep.converters.cost import fully_connected, host
from tflm_sparsesep.converters.cost.data import load
from tflm_sparsesep.converters.cost.fit import Vector, fit

_FILE = "dense_conv_cmsis_nn.json"


def dense_instructions(
    target: str, weights_shape: tuple[int, ...], output_shape: tuple[int, ...]
) -> int:
    """Return the instructions of one inference (nanoseconds on `host`).

    Shapes are [units, height, width, channels] and [batch, height, width, units].
    """
    units, height, width, channels = weights_shape
    sizes = math.prod(output_shape[:3]), units, height * width, channels
    if target == "host":
        return host.convolution_nanoseconds(*sizes)
    terms = _terms(*sizes)
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


def _terms(
    pixels: int, units: int, taps: int, channels: int
) -> tuple[float, float, float, float, float]:
    """Return products, copied inputs, copied runs of inputs, outputs, pixels."""
    macs = pixels * units * taps * channels
    return macs, pixels * taps * channels, pixels * taps, pixels * units, pixels


@functools.cache
def _coefficients(target: str) -> Vector:
    data = load(_FILE)
    terms = []
    for height, width, channels, units, *kernel, down, right, valid in data["shapes"]:
        less = [taps - 1 if valid else 0 for taps in kernel]
        pixels = math.ceil((height - less[0]) / down) * math.ceil((width - less[1]) / right)
        terms.append(_terms(pixels, units, math.prod(kernel), channels))
    return fit(terms, data["targets"][target], nonnegative=False)
