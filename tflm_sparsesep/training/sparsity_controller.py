"""From a goal in bytes or instructions to the fraction of zeros that meets it.

Bytes and instructions follow from the positions of the nonzero weights, through the packer and the
cost model. The fraction is therefore searched on the actual weights: those with the lowest scores
are set to 0, and the cost of the rest is compared with the budget.

The search is coarse while zeros rise, with one fraction for all layers. At the end it is exact,
layer by layer if necessary.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tflm_sparsesep.converters.cost.choose_layout import Prefer
from tflm_sparsesep.converters.cost.cost import Cost
from tflm_sparsesep.converters.errors import ConfigError
from tflm_sparsesep.training.packed_estimate import layer_cost, model_cost
from tflm_sparsesep.training.patterns import Blocks
from tflm_sparsesep.training.target_band import TargetBand, find_zeros
from tflm_sparsesep.training.trained_layer import TrainedLayer

Array = npt.NDArray[Any]

# The target band as shares of the budget. The rest of the tolerance (3% and 5%) is for later
# changes of weights and activations: up to the share `_STAYING` nothing is pruned again.
# Instructions depend on the fraction of zero inputs, which varies by half a percent between
# samples.
_BAND = {"flash_bytes": (0.982, 0.997), "instructions": (0.97, 0.993)}
_STAYING = {"flash_bytes": 0.9985, "instructions": 0.9945}

# While zeros still rise, aim at this share more nonzeros than the budget takes, less and less
# towards the end: weights concentrate in fewer blocks as training goes on, and a weight that is
# pruned too early cannot return. The search for the band prunes what is left over.
_RESERVE_BEGIN = 0.4
_RESERVE_END = 0.1

# Estimates of the whole model at the beginning of each epoch.
_EVALUATIONS = 3

_SEED = 0


@dataclass(frozen=True)
class Snapshot:
    """The selected layers at one moment of the fit.

    Attributes:
        weights: the kernels [..., inputs, outputs].
        scores: the rank of each weight, in the same shapes.
        input_zeros: fractions of zero inputs; 0 for layers that are missing.
    """

    weights: Mapping[TrainedLayer, Array]
    scores: Mapping[TrainedLayer, Array]
    input_zeros: Mapping[TrainedLayer, float]


class SparsityController:
    """Finds the fraction of zeros for a budget.

    Args:
        kind: "flash_bytes" or "instructions".
        budget: bytes of weights, biases and requantization of all layers as stored, or estimated
            instructions of the layers that have sparse kernels.
        layers: all Dense and convolutional layers of the model.
        target: a name of `targets.TARGETS`.
        prefer: the preference among layouts, as for `convert`.

    Raises:
        ConfigError: the budget cannot be met, or is met without zeros.
    """

    def __init__(
        self,
        kind: str,
        budget: int,
        layers: Sequence[TrainedLayer],
        target: str,
        prefer: Prefer | None = None,
    ) -> None:
        self._kind, self._target, self._prefer = kind, target, prefer
        floor, ceiling = _BAND[kind]
        self._band = TargetBand(floor * budget, ceiling * budget)
        self._most = _STAYING[kind] * budget
        self._layers = layers
        selected = [x for x in layers if x.selected]
        if all(x.goal is not None for x in selected):
            names = ", ".join(sorted(x.name for x in selected))
            raise ConfigError(
                f"{kind}={budget:,} and a goal for each of {names}; accepted: "
                "at least one layer without its own goal, to be adapted to the budget"
            )
        self._packable = [x for x in layers if x.packable]
        self._unpackable = self._total([x for x in layers if not x.packable], {})
        self._least = self._total(layers, {x: _sparsest(x) for x in self._packable})
        dense = self._total(layers, {})
        if not self._least <= self._band.ceiling < dense:
            raise ConfigError(
                f"{kind}={budget:,} is out of reach for this model on {target}; accepted: "
                f"{math.ceil(self._least / ceiling):,} (a block of weights per output) "
                f"to {dense - 1:,} (below dense)"
            )
        # Bytes and instructions are nearly proportional to nonzeros.
        self._last = 1 - (budget - self._least) / dense

    def zeros(self, now: Snapshot, *, progress: float) -> float:
        """Return the fraction of zeros to aim at, over all layers without their own goal.

        It takes a few steps from the last result and leaves more nonzeros than the budget takes.

        Args:
            now: weights, scores and input zeros at this moment.
            progress: 0..1 of the sparsifying phase.
        """
        ranking = _Ranking(now.scores)
        for _ in range(_EVALUATIONS):
            kept = {x: ranking.kept(x, self._last) for x in self._packable}
            left = {x: np.where(kept[x], now.weights[x], 0) for x in self._packable}
            found = self._total(self._layers, left, now.input_zeros)
            if found in self._band:
                break
            # The part that grows with nonzeros starts at the cost of the sparsest model.
            share = max(self._band.middle - self._least, 1) / max(found - self._least, 1)
            self._last = min(max(1 - (1 - self._last) * share, ranking.present), 1)
        reserve = _RESERVE_BEGIN + progress * (_RESERVE_END - _RESERVE_BEGIN)
        return max(0.0, 1 - (1 - self._last) * (1 + reserve))

    def supports(self, now: Snapshot) -> dict[TrainedLayer, Array]:
        """Return the weights that may stay so that the estimate is in the target band.

        If the estimate is within the budget already, all nonzeros stay.

        Returns:
            bool arrays in the shapes of the kernels.
        """
        ranking = _Ranking(now.scores)

        @functools.cache
        def cost(layer: TrainedLayer, zeros: float) -> int:
            left = np.where(ranking.kept(layer, zeros), now.weights[layer], 0)
            share = now.input_zeros.get(layer, 0.0)
            return self._cost_of(
                layer_cost(layer, left, self._target, prefer=self._prefer, input_zeros=share)
            )

        present = sum(cost(x, ranking.present) for x in self._packable)
        if present + self._unpackable <= self._most:
            return {x: ranking.kept(x, ranking.present) for x in now.weights}
        adapted = {x: functools.partial(cost, x) for x in self._packable if x.goal is None}
        fixed = self._unpackable
        fixed += sum(cost(x, 0.0) for x in self._packable if x.goal is not None)
        found = find_zeros(
            adapted, self._band.minus(fixed), guess=self._last, least=ranking.present
        )
        # Layers whose cost does not depend on zeros are no sparser than the others.
        common = min(found.values(), default=ranking.present)
        return {x: ranking.kept(x, found.get(x, common)) for x in now.weights}

    def _total(
        self,
        layers: Sequence[TrainedLayer],
        kernels: Mapping[TrainedLayer, Array],
        input_zeros: Mapping[TrainedLayer, float] | None = None,
    ) -> int:
        """Return the cost of `layers`, dense without an entry in `kernels`, in the goal's unit."""
        return self._cost_of(
            model_cost(layers, kernels, self._target, prefer=self._prefer, input_zeros=input_zeros)
        )

    def _cost_of(self, estimate: Cost) -> int:
        return estimate.bytes if self._kind == "flash_bytes" else estimate.instructions


def _sparsest(layer: TrainedLayer) -> Array:
    """Return a kernel [..., inputs, outputs] with the most zeros that `layer` may get."""
    shape = tuple(layer.kernel.shape)
    if layer.goal is None:
        return _one_block_per_output(layer.blocks, math.prod(shape[:-1]), shape[-1]).reshape(shape)
    kept = np.random.default_rng(_SEED).random(layer.blocks.grid) >= layer.goal
    return np.asarray(layer.blocks.spread(kept.astype(np.float32), shape))


def _one_block_per_output(blocks: Blocks, cols: int, rows: int) -> Array:
    """Return a kernel [cols, rows] with one block for each output: the least useful size.

    Of the patterns `row` and `column`, it holds one block in all.
    """
    if blocks.pattern in ("row", "column"):
        kernel = np.zeros((cols, rows))
        kernel[(slice(None), 0) if blocks.pattern == "row" else (0, slice(None))] = 1
        return kernel
    groups = np.arange(rows) // blocks.block_rows
    starts = groups * 7 % -(-cols // blocks.block_cols) * blocks.block_cols
    inputs = np.arange(cols)[:, np.newaxis]
    return ((inputs >= starts) & (inputs < starts + blocks.block_cols)).astype(float)


class _Ranking:
    """The weights that stay at a fraction of zeros of all layers without their own goal.

    A layer with its own goal keeps to that.

    Args:
        scores: the scores of all weights of the selected layers.
    """

    def __init__(self, scores: Mapping[TrainedLayer, Array]) -> None:
        self._scores = scores
        shared = [score.ravel() for x, score in scores.items() if x.goal is None]
        self._ranked = np.sort(np.concatenate(shared))
        self._own = {
            x: _level(np.sort(score.ravel()), x.goal)
            for x, score in scores.items()
            if x.goal is not None
        }

    @property
    def present(self) -> float:
        """The fraction of zeros now."""
        return float(np.count_nonzero(self._ranked <= 0)) / len(self._ranked)

    def kept(self, layer: TrainedLayer, zeros: float) -> Array:
        """Return bool in the shape of the kernel: True for the weights that stay."""
        level = self._own[layer] if layer in self._own else _level(self._ranked, zeros)
        return np.asarray(self._scores[layer] > level)


def _level(ranked: Array, zeros: float) -> float:
    """Return the score up to which the fraction `zeros` of the ascending scores falls."""
    count = min(max(round(zeros * len(ranked)), 0), len(ranked))
    return max(float(ranked[count - 1]), 0.0) if count else 0.0
