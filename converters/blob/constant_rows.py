"""Rows whose output is the same for every input, in numbers that FLAG_BOUNDED accepts.

Quantizers leave dead channels with a bias of +-2^30 or a shift of 0. One such row takes the flag
from its whole layer, and the device then requantizes all rows at twice the cost.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt

from tflm_sparsesep.converters.blob.format import FullyConnectedOptions
from tflm_sparsesep.converters.blob.pack import FullyConnectedWeights, PackableWeights

# Outputs are int8 after a zero point of int8: beyond this, all of one sign clamp to one limit.
_SATURATED = 512

# One eighth: an accumulator of 8 * q gives q. Kernels that round by a multiplication take shifts of
# two and more (run_vector_tiles_dsp.c).
_MULTIPLIER, _SHIFT = 1 << 30, -2


def bound_constant_rows(layer: PackableWeights, options: FullyConnectedOptions) -> PackableWeights:
    """Return `layer` with its unbounded constant rows as zero weights and a small bias.

    Every int8 output stays the same, for either rounding. A constant is inside the activation
    limits of `options`: some kernels take longer for one that they clamp. Rows that are bounded or
    not constant stay as they are.
    """
    if not isinstance(layer, FullyConnectedWeights) or layer.is_bounded():
        return layer
    lowest, highest = _accumulator_range(layer)
    weights, bias = layer.weights.copy(), layer.bias.copy()
    multiplier, shift = layer.multiplier.copy(), layer.shift.copy()
    for row in np.flatnonzero(~layer.bounded_rows()):
        ends = (int(lowest[row]), int(highest[row]))
        constant = _constant_bias(ends, int(multiplier[row]), int(shift[row]), options)
        if constant is not None:
            weights[row], bias[row] = 0, constant
            multiplier[row], shift[row] = _MULTIPLIER, _SHIFT
    return dataclasses.replace(
        layer, weights=weights, bias=bias, multiplier=multiplier, shift=shift
    )


def _accumulator_range(
    layer: FullyConnectedWeights,
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return the least and the greatest accumulator of each row over all int8 inputs."""
    weights = layer.weights.astype(np.int64)
    positive = np.maximum(weights, 0).sum(axis=1)
    negative = np.minimum(weights, 0).sum(axis=1)
    bias = layer.bias - layer.input_zero_point * weights.sum(axis=1)
    return bias - 128 * positive + 127 * negative, bias + 127 * positive - 128 * negative


def _constant_bias(
    ends: tuple[int, int], multiplier: int, shift: int, options: FullyConnectedOptions
) -> int | None:
    """Return the bias of a row without weights that gives what all accumulators between give.

    None where they give several outputs, or wrap. Requantization rises with the accumulator, so
    that the two ends tell of all between.
    """
    lowest, highest = (accumulator_outputs(end, multiplier, shift) for end in ends)
    if lowest is None or lowest != highest:
        return None
    zero_point = options.output_zero_point
    limits = options.activation_min - zero_point, options.activation_max - zero_point
    twice, once = (max(limits[0], min(value, limits[1])) for value in lowest)
    # Halves: rounded twice they go away from zero, also where the first rounding made them.
    candidates = (8 * once, 8 * once + 3, 8 * once - 4)
    return next(
        (b for b in candidates if accumulator_outputs(b, _MULTIPLIER, _SHIFT) == (twice, once)),
        None,
    )


def accumulator_outputs(acc: int, multiplier: int, shift: int) -> tuple[int, int] | None:
    """Return what an accumulator gives rounded twice and once (`sparsesep/requantize.h`).

    Outputs are before the zero_point, and saturate beyond int8. None if 32 bits do not hold the
    accumulator after its left shift.
    """
    if not -(2**31) <= acc << max(shift, 0) < 2**31:
        return None
    high = ((acc << max(shift, 0)) * multiplier + (1 << 30)) >> 31
    right = max(-shift, 0)
    threshold = (((1 << right) - 1) >> 1) + (high < 0)
    twice = (high >> right) + ((high & ((1 << right) - 1)) > threshold)
    once = (acc * multiplier + (1 << (30 - shift))) >> (31 - shift)
    return _saturate(twice), _saturate(once)


def _saturate(value: int) -> int:
    return max(-_SATURATED, min(value, _SATURATED))
