"""From a goal in bytes or instructions to the fraction of zeros that meets it.

Bytes and instructions follow from which weights are left, through the packer and the cost model, so
the fraction is searched on the actual weights: those with the lowest scores are set to 0, the rest
is packed, and the result is compared with the budget.

While zeros rise, roughly, for all layers alike; at the end exactly, layer by layer if need be.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from typing import Any

import numpy as np
import numpy.typing as npt

from tflm_sparsesep.converters.cost.cost import Cost
from tflm_sparsesep.converters.errors import ConfigError
from tflm_sparsesep.training.budget_landing import Landing, land
from tflm_sparsesep.training.device_layer import DeviceLayer
from tflm_sparsesep.training.packed_estimate import PackedEstimate, as_matrix
from tflm_sparsesep.training.patterns import Blocks

Array = npt.NDArray[Any]

# Where below the budget to land, as shares of it. The rest of what is accepted (3% and 5%) is for
# what weights and activations change afterwards: up to the share `_STAYING` nothing is dropped
# again. Instructions depend on the share of zero inputs, which other samples change by half a
# percent.
_LANDING = {"flash_bytes": (0.982, 0.997), "instructions": (0.97, 0.993)}
_STAYING = {"flash_bytes": 0.9985, "instructions": 0.9945}

# While zeros still rise, aim at this share more nonzeros than the budget takes, less and less so to
# the end: weights that share blocks get fewer as training goes on, and what is dropped too much
# cannot come back. The landing drops what is left over.
_RESERVE_BEGIN = 0.4
_RESERVE_END = 0.1

# Packings of the whole model each time that an epoch begins.
_EVALUATIONS = 3

_SEED = 0


class SparsityController:
    """Finds the fraction of zeros for a budget.

    Args:
        kind: "flash_bytes" or "instructions".
        budget: the goal: bytes of weights, biases and requantisation of all layers as stored, or
            estimated instructions of the layers that have sparse kernels.
        estimate: estimates for the target.
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
        estimate: PackedEstimate,
        layers: Sequence[DeviceLayer],
        blocks: Mapping[str, Blocks],
        goals: Mapping[str, float],
    ) -> None:
        self._kind, self._estimate = kind, estimate
        floor, ceiling = _LANDING[kind]
        self._landing = Landing(floor * budget, ceiling * budget)
        self._most = _STAYING[kind] * budget
        self._layers, self._blocks, self._goals = layers, blocks, goals
        if set(goals) >= set(blocks):
            raise ConfigError(
                f"{kind}={budget:,} and a goal for each of {', '.join(sorted(blocks))}; accepted: "
                "at least one layer without its own goal, to be adapted to the budget"
            )
        packable = {layer.name: layer for layer in layers if layer.has_kernel}
        self._packable = {name: packable[name] for name in blocks if name in packable}
        self._unpackable = sum(
            self._cost_of(estimate.total([layer], {}))
            for layer in layers
            if layer.name not in self._packable
        )
        sparsest = {
            name: _at_random(blocks[name], goals[name], layer)
            if name in goals
            else _one_block_per_row(blocks[name], layer)
            for name, layer in self._packable.items()
        }
        self._least = self._cost_of(self._estimate.total(layers, sparsest))
        dense = self._cost_of(self._estimate.total(layers, {}))
        if not self._least <= self._landing.ceiling < dense:
            raise ConfigError(
                f"{kind}={budget:,} is out of reach for this model on {estimate.target}; accepted: "
                f"{math.ceil(self._least / ceiling):,} (a block of weights per output) "
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
        """The fraction of zeros to aim at now, over all kernels without a goal of their own.

        A few steps from the last result, with more nonzeros than the budget takes.

        Args:
            weights: the kernels by the name of their layer, [..., inputs, outputs].
            scores: the rank of each weight, in the same shapes.
            input_zeros: share of zero inputs of each layer.
            progress: 0..1 of the sparsifying phase.
        """
        ranking = self._ranking(scores)
        for _ in range(_EVALUATIONS):
            left = {
                name: as_matrix(np.where(ranking.kept(name, self._last), weights[name], 0))
                for name in self._packable
            }
            found = self._cost_of(self._estimate.total(self._layers, left, input_zeros=input_zeros))
            if self._landing.floor <= found <= self._landing.ceiling:
                break
            # What grows with nonzeros starts at the cost of the sparsest model.
            share = max(self._landing.middle - self._least, 1) / max(found - self._least, 1)
            self._last = min(max(1 - (1 - self._last) * share, ranking.present), 1)
        reserve = _RESERVE_BEGIN + progress * (_RESERVE_END - _RESERVE_BEGIN)
        return max(0.0, 1 - (1 - self._last) * (1 + reserve))

    def supports(
        self,
        weights: Mapping[str, Array],
        scores: Mapping[str, Array],
        input_zeros: Mapping[str, float],
    ) -> dict[str, Array]:
        """Which weights may stay for the estimate, weighing all layouts, to be in the budget.

        Where it is already, all that are not 0. Arguments as for `zeros`; bool arrays in the same
        shapes come back.
        """
        ranking = self._ranking(scores)

        @cache
        def cost(name: str, zeros: float) -> int:
            left = as_matrix(np.where(ranking.kept(name, zeros), weights[name], 0))
            share = input_zeros.get(name, 0.0)
            return self._cost_of(
                self._estimate.layer(self._packable[name], left, input_zeros=share)
            )

        stay = dict.fromkeys(self._packable, ranking.present)
        if sum(cost(*item) for item in stay.items()) + self._unpackable <= self._most:
            return {name: ranking.kept(name, ranking.present) for name in weights}
        found = self._land(cost, ranking)
        # Layers that cost the same whatever their zeros are no sparser than the others.
        common = min(found.values(), default=ranking.present)
        return {name: ranking.kept(name, found.get(name, common)) for name in weights}

    def _land(self, cost: Callable[[str, float], int], ranking: _Ranking) -> dict[str, float]:
        """The fraction of zeros of each layer without its own goal, so that all meet the budget."""
        adapted = {name: partial(cost, name) for name in self._packable if name not in self._goals}
        other = self._unpackable
        other += sum(cost(name, 0.0) for name in self._packable if name in self._goals)
        landing = Landing(self._landing.floor - other, self._landing.ceiling - other)
        return land(adapted, landing, guess=self._last, least=ranking.present)

    def _ranking(self, scores: Mapping[str, Array]) -> _Ranking:
        return _Ranking(scores, self._goals)

    def _cost_of(self, estimate: Cost) -> int:
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


class _Ranking:
    """Which weights stay at a fraction of zeros of all kernels without a goal of their own.

    Args:
        scores: of all weights, by the name of the layer.
        goals: fractions of zeros of kernels that have their own.
    """

    def __init__(self, scores: Mapping[str, Array], goals: Mapping[str, float]) -> None:
        self._scores = scores
        shared = [name for name in scores if name not in goals]
        self._ranked = np.sort(np.concatenate([scores[name].ravel() for name in shared]))
        self._own = {name: _level(np.sort(scores[name].ravel()), z) for name, z in goals.items()}

    @property
    def present(self) -> float:
        """The fraction of zeros now."""
        return float(np.count_nonzero(self._ranked <= 0)) / len(self._ranked)

    def kept(self, name: str, zeros: float) -> Array:
        """bool, in the shape of a kernel; one with its own goal keeps to that."""
        level = self._own[name] if name in self._own else _level(self._ranked, zeros)
        return np.asarray(self._scores[name] > level)


def _level(ranked: Array, zeros: float) -> float:
    """The score up to which the fraction `zeros` of the scores `ranked`, ascending, falls."""
    count = min(max(round(zeros * len(ranked)), 0), len(ranked))
    return max(float(ranked[count - 1]), 0.0) if count else 0.0
