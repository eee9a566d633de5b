"""Random residuals of sparse convolutions, and TFLite's arithmetic of their sums."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from tflm_sparsesep.converters.blob.pack_sparse_conv import Residual
from tflm_sparsesep.converters.blob.sparse_conv_format import RESIDUAL_KINDS

Int8 = npt.NDArray[np.int8]
Wide = npt.NDArray[np.int64]

# Sums of feature maps have about these shifts; others are legal, and take a slower way.
COMMON_SHIFTS = (16, 20)


def random_residual(
    rng: np.random.Generator, *, shifts: tuple[int, int] = COMMON_SHIFTS
) -> Residual:
    """A residual of random numbers; every other one clamps to less than int8."""
    low, high = (-128, 127) if rng.random() < 0.5 else np.sort(rng.integers(-128, 128, 2))
    points = rng.integers(-128, 128, 2)
    multipliers = rng.integers(1 << 30, 1 << 31, 2)
    return Residual(
        narrow=str(rng.choice(RESIDUAL_KINDS)),
        zero_point=int(points[0]),
        sum_zero_point=int(points[1]),
        activation_min=int(low),
        activation_max=int(high),
        multiplier=int(multipliers[0]),
        shift=int(rng.integers(0, 12)),
        sum_multiplier=int(multipliers[1]),
        sum_shift=int(rng.integers(shifts[0], shifts[1] + 1)),
    )


def each_kind(rng: np.random.Generator) -> Iterator[Residual]:
    """Yield residuals that take every way through the kernels."""
    for narrow in RESIDUAL_KINDS:
        for shifts in (COMMON_SHIFTS, (1, 31)):
            yield dataclasses.replace(random_residual(rng, shifts=shifts), narrow=narrow)


def sums(
    residual: Residual,
    outputs: npt.NDArray[Any],
    output_zero_point: int,
    other: npt.NDArray[Any],
    *,
    rounding: str = "double",
) -> Int8:
    """TFLite's ADD of a convolution's outputs and of `other`, of the same shape."""
    rescale = _round_twice if rounding == "double" else _round_once
    parts = {
        "output": outputs.astype(np.int64) - output_zero_point,
        "other": other.astype(np.int64) - residual.zero_point,
    }
    narrow = rescale(parts.pop(residual.narrow) << 20, residual.multiplier, residual.shift)
    (wide,) = parts.values()
    total = rescale((wide << 19) + narrow, residual.sum_multiplier, residual.sum_shift)
    limits = residual.activation_min, residual.activation_max
    return np.clip(total + residual.sum_zero_point, *limits).astype(np.int8)


def _round_once(value: Wide, multiplier: int, shift: int) -> Wide:
    total = 31 + shift
    return (value * multiplier + (1 << (total - 1))) >> total


def _round_twice(value: Wide, multiplier: int, shift: int) -> Wide:
    """The doubling high product rounds halves up, the shift away from zero."""
    high = (value * multiplier + (1 << 30)) >> 31
    mask = (1 << shift) - 1
    return (high >> shift) + ((high & mask) > (mask >> 1) + (high < 0))
