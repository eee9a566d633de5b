"""`pattern="auto"`: the cheapest pattern of a layer that is unlikely to cost accuracy."""

from __future__ import annotations

import functools

import numpy as np

from tflm_sparsesep.converters.cost.choose_layout import choose_layout
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
def choose_pattern(rows: int, cols: int, zeros: float, target: str) -> str:
    """Return the cheapest pattern for a fully-connected layer of int8 weights [rows, cols].

    The cost is bytes times instructions, as the converter weighs them, for blocks kept at random.
    Blocks of four weights are candidates if each output keeps eight of them on average, and must
    win by 5%.

    Args:
        rows: the number of outputs.
        cols: the number of inputs.
        zeros: the fraction of zeros to expect.
        target: a name of `targets.TARGETS`.

    Example:
        >>> choose_pattern(10, 100, 0.95, "cortex-m4")
        '1x1'
    """
    best, least = "1x1", _cost(rows, cols, zeros, "1x1", target) * (1 - _LEAST_GAIN)
    for pattern in _CANDIDATES[1:]:
        block_rows, block_cols = map(int, pattern.split("x"))
        if rows < block_rows or (1 - zeros) * cols / block_cols < _LEAST_BLOCKS_PER_ROW:
            continue
        cost = _cost(rows, cols, zeros, pattern, target)
        if cost < least:
            best, least = pattern, cost
    return best


def _cost(rows: int, cols: int, zeros: float, pattern: str, target: str) -> float:
    """Return bytes times instructions of random blocks."""
    rng = np.random.default_rng(_SEED)
    block_rows, block_cols = map(int, pattern.split("x"))
    grid = rng.random((-(-rows // block_rows), -(-cols // block_cols))) >= zeros
    kept = grid.repeat(block_rows, axis=0).repeat(block_cols, axis=1)[:rows, :cols]
    weights = rng.uniform(0.2, 1, (rows, cols)) * np.where(rng.random((rows, cols)) < 0.5, -1, 1)
    best = choose_layout(quantize_rows(weights * kept), target, batch=1)
    assert best is not None  # every target runs int8 layouts
    return float(best.instructions) * best.bytes
