"""Executed instructions of CMSIS-NN's int8 1x1 CONV_2D of stride 1 on a target.

A sum of terms with coefficients fitted here to measured counts
(`data/pointwise_cmsis_nn.json`, which also says how far off the sum is on shapes outside the
fit). Products come in fours and pixels in pairs; Helium takes 16 channels of four pixels at once.
"""

from __future__ import annotations

import functools
import importlib.resources
import json
from typing import Any

import numpy as np
import numpy.typing as npt

from tflm_sparsesep.converters.cost import fit as fitted_counts
from tflm_sparsesep.converters.targets import get_target

_HELIUM_CHANNELS, _HELIUM_PIXELS = 16, 4


def pointwise_conv(target: str, units: int, channels: int, pixels: int) -> int:
    """Instructions of one inference; `target` is a name of `targets.TARGETS`, not host."""
    terms = _terms(target, pixels, channels, units)
    return round(float(np.dot(_coefficients(target), terms)))


def held_out_error(target: str) -> float:
    """The largest relative error on measured shapes that are not in the fit."""
    held_out = _data()["held_out"]
    pairs = zip(held_out["shapes"], held_out["targets"][target], strict=True)
    errors = [abs(pointwise_conv(target, u, c, n) / int(count) - 1) for (n, c, u), count in pairs]
    return max(errors)


@functools.cache
def _data() -> dict[str, Any]:
    files = importlib.resources.files(__package__)
    text = files.joinpath("data", "pointwise_cmsis_nn.json").read_text()
    data: dict[str, Any] = json.loads(text)
    return data


@functools.cache
def _coefficients(target: str) -> npt.NDArray[np.float64]:
    data = _data()
    terms = [_terms(target, *shape) for shape in data["shapes"]]
    return fitted_counts.fit(terms, data["targets"][target])


def _terms(target: str, pixels: int, channels: int, units: int) -> list[float]:
    """What the kernel's instructions are made of."""
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
