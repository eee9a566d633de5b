"""`pattern="auto"`: the cheapest pattern of a layer that is unlikely to cost accuracy."""

from __future__ import annotations

import functools

import numpy as np

from tflm_sparsesep.training.device_layer import DeviceLayer
from tflm_sparsesep.training.packed_estimate import quantize_rows

# Blocks of up to four weights lose a few tenths of a point of accuracy against single weights.
# Larger blocks are used only on request.
_CANDIDATES = ("1x1", "1x4", "4x1")

# With fewer blocks per output, on average, outputs lose too many inputs.
_LEAST_BLOCKS_PER_ROW = 8.0

# Blocks of four must win by this share, because they leave fewer choices to training.
_LEAST_GAIN = 0.05

_SEED = 0


@functools.cache
def choose_pattern(layer: DeviceLayer, zeros: float, target: str) -> str:
    """Return the cheapest pattern for a layer that has a sparse kernel on `target`.

    The cost is bytes times instructions, as the converter weighs them, for blocks kept at random.
    Blocks of four weights are candidates if each output keeps eight of them on average and they do
    not straddle taps of a convolution. They must win by 5%.

    Args:
        layer: the layer.
        zeros: the fraction of zeros to expect.
        target: a name of `targets.TARGETS`.

    Example:
        >>> from tflm_sparsesep.converters.cost.shapes import MatrixShape
        >>> choose_pattern(DeviceLayer(MatrixShape(10, 100), True), 0.95, "cortex-m4")
        '1x1'
    """
    rows, cols = layer.shape.rows, layer.shape.cols
    best, least = "1x1", _cost(layer, zeros, "1x1", target) * (1 - _LEAST_GAIN)
    for pattern in _CANDIDATES[1:]:
        block_rows, block_cols = map(int, pattern.split("x"))
        if rows < block_rows or (1 - zeros) * cols / block_cols < _LEAST_BLOCKS_PER_ROW:
            continue
        if layer.channels % block_cols and layer.channels < cols:
            continue
        cost = _cost(layer, zeros, pattern, target)
        if cost < least:
            best, least = pattern, cost
    return best


def _cost(layer: DeviceLayer, zeros: float, pattern: str, target: str) -> float:
    """Return bytes times instructions of random blocks."""
    rows, cols = layer.shape.rows, layer.shape.cols
    rng = np.random.default_rng(_SEED)
    block_rows, block_cols = map(int, pattern.split("x"))
    grid = rng.random((-(-rows // block_rows), -(-cols // block_cols))) >= zeros
    kept = grid.repeat(block_rows, axis=0).repeat(block_cols, axis=1)[:rows, :cols]
    weights = rng.uniform(0.2, 1, (rows, cols)) * np.where(rng.random((rows, cols)) < 0.5, -1, 1)
    best = layer.best(quantize_rows(weights * kept), target)
    assert best is not None  # every target runs int8 layouts
    return float(best.instructions) * best.bytes
