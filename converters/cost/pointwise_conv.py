"""Instructions of CMSIS-NN's int8 1x1 CONV_2D of stride 1 on a target.

They are a sum of terms. The coefficients are fitted here to measured counts
(`data/pointwise_cmsis_nn.json`, which also holds the error on shapes outside the fit). The kernel
multiplies four channels of two pixels at once, with Helium 16 channels of four pixels. On `host`,
costs are nanoseconds in LiteRT (`host`).
"""

from __future__ import annotations

import functools

import numpy as np

from tflm_sparsesep.converters.cost import host
from tflm_sparsesep.converters.cost.data import load
from tflm_sparsesep.converters.cost.fit import Vector, fit
from tflm_sparsesep.converters.targets import get_target

_FILE = "pointwise_cmsis_nn.json"
_HELIUM_CHANNELS, _HELIUM_PIXELS = 16, 4


def dense_instructions(target: str, units: int, channels: int, pixels: int) -> int:
    """Return the instructions of one inference (nanoseconds on `host`), `pixels` of all images."""
    if target == "host":
        return host.dense_nanoseconds(units, channels, pixels, "int8")
    terms = _terms(target, pixels, channels, units)
    return round(float(np.dot(_coefficients(target), terms)))


@functools.cache
def _coefficients(target: str) -> Vector:
    data = load(_FILE)
    terms = [_terms(target, *shape) for shape in data["shapes"]]
    return fit(terms, data["targets"][target])


def _terms(target: str, pixels: int, channels: int, units: int) -> list[float]:
    """Return the terms of the kernel's instructions."""
    if get_target(target).has_mve:
        vectors = -(-channels // _HELIUM_CHANNELS)
        fours, single = divmod(pixels, _HELIUM_PIXELS)
        return [
            *(n * units * vectors for n in (fours, single)),
            *(n * units for n in (fours, single)),
            (pixels // 2) * (units // 2),
            units * vectors,
            units,
            pixels,
            1.0,
        ]
    quads, rest = divmod(channels, 4)
    return [
        *(pixels * units * n for n in (quads, rest, 1)),
        *(units * n for n in (quads, rest, 1)),
        pixels % 2 * units * quads,
        *(units % 2 * pixels * n for n in (quads, 1)),
        pixels,
        1.0,
    ]
