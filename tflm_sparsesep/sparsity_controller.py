"""From a goal in bytes or instructions to the fraction of zeros that meets it.

Bytes and instructions follow from which weights are left, through the packer and the cost model, so
the fraction is searched on the actual weights: those with the lowest scores are set to 0, the rest
is packed, and the result is compared with the budget.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from tflm_sparsesep.converters.errors import ConfigError
from tflm_sparsesep.device_layer import DeviceLayer
from tflm_sparsesep.packed_estimate import Estimate, PackedEstimate, as_matrix
from tflm_sparsesep.patterns import Blocks

Array = npt.NDArray[Any]

# Where below the budget the search may end, as a share of it. Weights go on changing in the debias
# phase: bytes stay within a percent, and estimated instructions within two.
_LANDING = {"flash_bytes": (0.982, 0.997), "instructions": (0.97, 0.993)}

# While zeros still rise, aim at this share more nonzeros than the budget takes, less and less so to
# the end: weights that share blocks get fewer as training goes on, and what is dropped too much
# cannot come back. The last, precise search drops what is left over.
_RESERVE_BEGIN = 0.4
_RESERVE_END = 0.1

_SEED = 0

# Fractions of zeros closer together than this are the same.
_RESOLUTION = 2e-4

# Packings of the whole model in one search: each time that an epoch begins, and before debiasing.
_EVALUATIONS = 3
_PRECISE_EVALUATIONS = 12


class SparsityController:
    """Finds the fraction of zeros for a budget.

    Args:
        kind: "flash_bytes" or "instructions".
        budget: the goal: bytes of weights, biases and requantisation of all layers as stored, or
            estimated instructions of the layers that have sparse kernels.
        target: a name of `targets.TARGETS`.
        layers: all layers of the model that have weights.
        blocks: those of each kernel to make sparse, by the name of its layer.
        goals: fractions of zeros of the kernels that have their own.

    Raises:
        ConfigError: the budget cannot be met, or is met without zeros.
    """

    def __init__(
        self,
        kind: str,
        budget: int,
        target: str,
        layers: Sequence[DeviceLayer],
        blocks: Mapping[str, Blocks],
        goals: Mapping[str, float],
    ) -> None:
        self._kind, self._budget = kind, budget
        self._layers, self._blocks, self._goals = layers, blocks, goals
        if set(goals) >= set(blocks):
            raise ConfigError(
                f"{kind}={budget:,} and a goal for each of {', '.join(sorted(blocks))}; accepted: "
                "at least one layer without its own goal, to be adapted to the budget"
            )
        self._estimate = PackedEstimate(target)
        packable = {layer.name: layer for layer in layers if layer.has_kernel}
        self._packable = {name: packable[name] for name in blocks if name in packable}
        sparsest = {
            name: _at_random(blocks[name], goals[name], layer)
            if name in goals
            else _one_block_per_row(blocks[name], layer)
            for name, layer in self._packable.items()
        }
        self._least = self._cost_of(self._estimate.total(layers, sparsest))
        dense = self._cost_of(self._estimate.total(layers, {}))
        if not self._least <= _LANDING[kind][1] * budget < dense:
            raise ConfigError(
                f"{kind}={budget:,} is out of reach for this model on {target}; accepted: "
                f"{math.ceil(self._least / _LANDING[kind][1]):,} (a block of weights per output) "
                f"to {dense - 1:,} (below dense)"
            )
        # Bytes and instructions are nearly proportional to nonzeros.
        self._last = 1 - (budget - self._least) / dense

    def zeros(
        self,
        weights: Mapping[str, Array],
        scores: Mapping[str, Array],
        input_zeros: Mapping[str, float],
        *,
        progress: float,
    ) -> float:
        """The fraction of zeros, over all kernels without a goal of their own, for the budget.

        Args:
            weights: the kernels by the name of their layer, [..., inputs, outputs].
            scores: the rank of each weight, in the same shapes.
            input_zeros: share of zero inputs of each layer.
            progress: 0..1 of the sparsifying phase. Before its end a few steps from the last
                result do, and more nonzeros are kept than the budget takes; at its end the search
                goes on until the estimate is just below the budget, weighing all layouts.
        """
        precise = progress >= 1
        shared = [name for name in weights if name not in self._goals]
        ranked = np.sort(np.concatenate([scores[name].ravel() for name in shared]))

        own = {
            name: _level(np.sort(scores[name].ravel()), goal) for name, goal in self._goals.items()
        }

        def cost(zeros: float) -> int:
            left = {
                name: as_matrix(np.where(scores[name] <= level, 0, weights[name]))
                for name in self._packable
                for level in [own[name] if name in own else _level(ranked, zeros)]
            }
            return self._cost_of(
                self._estimate.total(self._layers, left, input_zeros=input_zeros, choose=precise)
            )

        present = float(np.count_nonzero(ranked <= 0)) / len(ranked)
        evaluations = _PRECISE_EVALUATIONS if precise else _EVALUATIONS
        self._last = self._search(cost, present, evaluations)
        if precise:
            return self._last
        reserve = _RESERVE_BEGIN + progress * (_RESERVE_END - _RESERVE_BEGIN)
        return max(0.0, 1 - (1 - self._last) * (1 + reserve))

    def _search(self, cost: Callable[[float], int], present: float, evaluations: int) -> float:
        """A fraction of zeros whose cost is in the landing, searched from the last one on.

        Costs jump where another layout becomes the best: if they jump over the landing, the result
        is the smallest fraction found that is below it; or, when evaluations run out before one
        was, the best guess.
        """
        floor, ceiling = (share * self._budget for share in _LANDING[self._kind])
        low, high = present, 1.0
        zeros = min(max(self._last, low), high)
        for _ in range(evaluations):
            found = cost(zeros)
            if found > ceiling:
                low = zeros
            elif found < floor and zeros > present:
                high = zeros
            else:
                return zeros
            # What grows with nonzeros starts at the cost of the sparsest model.
            wanted = max((floor + ceiling) / 2 - self._least, 1)
            zeros = 1 - (1 - zeros) * wanted / max(found - self._least, 1)
            width = high - low
            if width < _RESOLUTION:
                break
            if not low + 0.1 * width < zeros < high - 0.1 * width:
                zeros = (low + high) / 2 if low > present or high < 1 else min(max(zeros, low), 1)
        is_verified = high < 1 and evaluations == _PRECISE_EVALUATIONS
        return high if is_verified else zeros

    def _cost_of(self, estimate: Estimate) -> int:
        return estimate.bytes if self._kind == "flash_bytes" else estimate.instructions


def _one_block_per_row(blocks: Blocks, layer: DeviceLayer) -> Array:
    """A matrix [rows, cols] of little use but to know the least size: one block for each output.

    Of the patterns `row` and `column`, one block in all.
    """
    if blocks.pattern in ("row", "column"):
        matrix = np.zeros((layer.rows, layer.cols))
        matrix[(0, slice(None)) if blocks.pattern == "row" else (slice(None), 0)] = 1
        return matrix
    rows = np.arange(layer.rows)
    groups = rows // blocks.block_rows
    starts = groups * 7 % -(-layer.cols // blocks.block_cols) * blocks.block_cols
    cols = np.arange(layer.cols)
    return ((cols >= starts[:, None]) & (cols < starts[:, None] + blocks.block_cols)).astype(float)


def _at_random(blocks: Blocks, zeros: float, layer: DeviceLayer) -> Array:
    """A matrix [rows, cols] of which the fraction `zeros` of blocks is 0."""
    kept = np.random.default_rng(_SEED).random(blocks.grid) >= zeros
    shape = (layer.cols, layer.rows)
    return as_matrix(np.asarray(blocks.spread(kept.astype(np.float32), shape)))


def _level(ranked: Array, zeros: float) -> float:
    """The score up to which the fraction `zeros` of the scores `ranked`, ascending, falls."""
    return float(ranked[min(max(round(zeros * len(ranked)), 1), len(ranked)) - 1])
