"""Instructions of TFLM's int8 1x1 CONV_2D on CMSIS-NN's kernel on a target.

They are a sum of terms. The coefficients are fitted here to measured counts
(`data/pointwise_cmsis_nn.json`, which also holds counts outside the fit). With stride 1, one call
of the kernel takes all pixels; with larger strides, it takes one row of the output. The kernel
multiplies two pixels by two output channels at once, with Helium four pixels by one, and 16
channels at once. On `host`, costs are nanoseconds in LiteRT (`host`).
"""

from __future__ import annotations

import functools

import numpy as np

from tflm_sparsesep.converters.cost import host
from tflm_sparsesep.converters.cost.data import load
from tflm_sparsesep.converters.cost.fit import Vector, fit
from tflm_sparsesep.converters.targets import get_target

_FILE = "pointwise_cmsis_nn.json"
_VECTOR, _QUAD = 16, 4


def dense_instructions(
    target: str, units: int, channels: int, pixels: int, *, calls: int = 1
) -> int:
    """Return the instructions of one inference (nanoseconds on `host`).

    Args:
        target: a name of `targets.TARGETS`.
        units, channels: of the weights.
        pixels: of all images, or of one row of the output if the stride is above 1.
        calls: rows of the output of all images if the stride is above 1.
    """
    if target == "host":
        return host.dense_nanoseconds(units, channels, pixels * calls, "int8")
    terms = operator_terms(target, [pixels] * calls, channels, units)
    return round(float(np.dot(coefficients(target), terms)))


@functools.cache
def coefficients(target: str) -> Vector:
    """Return the instructions of each of `operator_terms`."""
    data = load(_FILE)
    terms = [
        operator_terms(target, [pixels] * calls, channels, units)
        for calls, pixels, channels, units in data["shapes"]
    ]
    return fit(terms, data["targets"][target])


def operator_terms(target: str, pixels: list[int], channels: int, units: int) -> list[float]:
    """Return the terms of an operator that calls the kernel for some numbers of pixels."""
    core = get_target(target)
    terms = _helium_terms if core.has_mve else functools.partial(_terms, core.has_dsp)
    calls = [terms(number, channels, units) for number in pixels]
    return [*np.sum(calls, axis=0).tolist(), 1.0]


def _helium_terms(pixels: int, channels: int, units: int) -> list[float]:
    vectors = -(-channels // _VECTOR)
    fours, single = divmod(pixels, _QUAD)
    return [
        *(fours * n for n in (units * vectors, units, 1)),
        *(single * n for n in (units * vectors, units // _QUAD, units % _QUAD, 1)),
        1.0,
    ]


def _terms(has_dsp: bool, pixels: int, channels: int, units: int) -> list[float]:
    unit_pairs, odd_unit = divmod(units, 2)
    pixel_pairs, odd_pixel = divmod(pixels, 2)
    loops = [channels]
    entries: list[int] = []
    if has_dsp:  # 16 channels, then four, then one at once
        rest = channels % _VECTOR
        loops = [channels // _VECTOR, rest // _QUAD, rest % _QUAD]
        entries = [rest >= _QUAD]
    blocks = [*loops, *entries, 1]
    pairs = [channels, 1, *((channels >= _VECTOR, channels % _QUAD > 0) if has_dsp else ())]
    return [
        *(pixel_pairs * unit_pairs * n for n in blocks),
        *(odd_pixel * unit_pairs * n for n in blocks),
        *(unit_pairs * n for n in pairs),
        *(odd_unit * n for n in (pixels * channels, pixels, 1)),
        1.0,
    ]
