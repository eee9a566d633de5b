"""The palette of a layer: at most 16 int8 values that its weights are limited to.

The palette layouts of the packer store them as 4-bit codes (`value_streams.py`). A palette consists
of 8 magnitudes with both signs. One of them is 127: the largest weight of an output stays at 127
steps of the output's scale, so the converter recovers that scale, and with it every integer. Both
signs are needed because a normalization that is folded into the kernel may flip the signs of an
output.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import numpy.typing as npt

from tflm_sparsesep.converters.blob.value_streams import PALETTE_SIZE

Array = npt.NDArray[Any]

LARGEST = 127
"""The largest magnitude of an int8 weight: weights are symmetric, -128 is unused."""

_MAGNITUDES = PALETTE_SIZE // 2


def fit_palette(magnitudes: Array, importance: Array) -> npt.NDArray[np.int64]:
    """Return the magnitudes of a palette, int64[8] ascending to 127, with the least error.

    The error is sum(importance * (m - nearest(m))^2), with the nearest of the palette and 0. The
    minimum is exact: it is the cheapest path of 8 steps from 0 to 127. Magnitudes that take at most
    8 values, one of them 127, are kept.

    Args:
        magnitudes: int, 0 to 127, of any shape.
        importance: the weight of each squared error, in the same shape: the square of its scale.

    Example:
        >>> fit_palette(np.array([3, 4, 40, 127]), np.ones(4))[[0, 1, -1]]
        array([  1,   2, 127])
    """
    weight = np.bincount(magnitudes.ravel(), importance.ravel(), minlength=LARGEST + 1)
    cost = _errors() @ (weight / max(weight.max(), np.finfo(float).tiny)).astype(np.float32)
    cost[np.tril_indices(LARGEST + 1)] = np.inf
    least, came_from = cost[0], []
    for _ in range(_MAGNITUDES - 1):
        via = least[:, np.newaxis] + cost
        came_from.append(via.argmin(axis=0))
        least = via.min(axis=0)
    palette = [LARGEST]
    for previous in reversed(came_from):
        palette.append(int(previous[palette[-1]]))
    return np.array(palette[::-1])


@functools.cache
def _errors() -> npt.NDArray[np.float32]:
    """Return [low, high, m]: the squared distance of m between low and high to the nearer one."""
    points = np.arange(LARGEST + 1, dtype=np.int32)
    low, high = points[:, np.newaxis, np.newaxis], points[:, np.newaxis]
    nearer = np.minimum(points - low, high - points)
    squares: npt.NDArray[np.float32] = np.square(np.maximum(nearer, 0)).astype(np.float32)
    return squares


def nearest_in(palette: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
    """Return float32[128]: the nearest of 0 and the palette for each magnitude; ties go down."""
    values = np.concatenate([[0], palette])
    distance = np.abs(np.arange(LARGEST + 1)[:, np.newaxis] - values)
    nearest: npt.NDArray[np.float32] = values[distance.argmin(axis=1)].astype(np.float32)
    return nearest


def to_palette(weights: npt.NDArray[np.int8], scales: Array) -> npt.NDArray[np.int8]:
    """Return int8 weights [rows, cols] rounded to the palette with the least error.

    Args:
        weights: int8 [rows, cols], symmetric, with 127 or -127 in each row that is not all 0.
        scales: the scales of the rows, [rows].

    Example:
        >>> to_palette(np.array([[127, -3, 0]], np.int8), np.ones(1)).tolist()
        [[127, -3, 0]]
    """
    magnitudes = np.abs(weights.astype(np.int64))
    importance = np.broadcast_to(np.square(scales)[:, np.newaxis], weights.shape)
    table = nearest_in(fit_palette(magnitudes, importance))
    return (np.sign(weights) * table[magnitudes]).astype(np.int8)
