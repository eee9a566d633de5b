"""From a goal in bytes or instructions to the fractions of zeros that meet it.

Bytes and instructions follow from the positions of the nonzero weights, through the packer and the
cost model. The fractions are therefore searched on the actual weights: those with the lowest scores
for their price are set to 0, and the cost of the rest is compared with the budget.

The search is coarse while zeros rise, with one level for all layers. At the end it is exact, layer
by layer if necessary.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tflm_sparsesep.converters.blob.format import IndexEncoding
from tflm_sparsesep.converters.cost.choose_layout import Prefer
from tflm_sparsesep.converters.cost.cost import Cost, PackedCost, total
from tflm_sparsesep.converters.errors import ConfigError
from tflm_sparsesep.training.packed_estimate import amount, layer_cost, model_cost, price
from tflm_sparsesep.training.patterns import Blocks
from tflm_sparsesep.training.proximal import PENALTIES
from tflm_sparsesep.training.target_band import LayerCost, TargetBand, bracket, find_zeros
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
# pruned too early cannot return. The search for the band prunes what is left over, at a learning
# rate that is too low to make up for much: 10% at the end cost 0.4 points on ResNet-8.
_RESERVE_BEGIN = 0.4
_RESERVE_END = 0.03

# While zeros still rise, any cost from this share of the budget on will do.
_COARSE = 0.975

# Mixtures of the prices of two budgets that are tried in an epoch.
_MIXTURES = 6

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
    """Finds the fraction of zeros of each layer for one budget, or for two.

    Weights are ranked across layers by score and price (`packed_estimate.price`). With two budgets
    the prices are mixed so that neither has room to spare, if possible. Layers that zeros would not
    make smaller and faster stay dense, and keep their weights.

    Args:
        budgets: of "flash_bytes", the weights, biases and requantization of all layers as stored;
            of "instructions", those estimated for the model; or of both.
        layers: all Dense and convolutional layers of the model.
        target: a name of `targets.TARGETS`.
        prefer: the preference among layouts, as for `convert`.
        penalty: a name of `proximal.PENALTIES`, which the scores are of.
        readers: see `removed_channels.readers`.
        fixed_instructions: of operators without weights (`other_layers.fixed_instructions`).

    Raises:
        ConfigError: a budget cannot be met, or all are met without zeros.
    """

    def __init__(
        self,
        budgets: Mapping[str, int],
        layers: Sequence[TrainedLayer],
        target: str,
        prefer: Prefer | None = None,
        penalty: str = "l0",
        readers: Mapping[TrainedLayer, TrainedLayer] | None = None,
        fixed_instructions: int = 0,
    ) -> None:
        self._target, self._prefer = target, prefer
        self._readers = readers or {}
        self._bands = {
            kind: TargetBand(*(share * budget for share in _BAND[kind]))
            for kind, budget in budgets.items()
        }
        self._most = {kind: _STAYING[kind] * budget for kind, budget in budgets.items()}
        selected = [x for x in layers if x.selected]
        if all(x.goal is not None for x in selected):
            names = ", ".join(sorted(x.name for x in selected))
            given = " and ".join(f"{kind}={budget:,}" for kind, budget in budgets.items())
            raise ConfigError(
                f"{given} and a goal for each of {names}; accepted: "
                "at least one layer without its own goal, to be adapted to the budget"
            )
        self._packable = [x for x in layers if x.packable]
        unpackable = self._total([x for x in layers if not x.packable], {})
        self._unpackable = total([unpackable, Cost(0, fixed_instructions)])
        sparsest = {x: _sparsest(x) for x in self._packable}
        least, dense = (
            total([self._unpackable, self._total(self._packable, kernels)])
            for kernels in (sparsest, {})
        )
        self._check(budgets, least, dense)
        self._shares = [
            {x: price(x, target, kind, budget) for x in self._packable}
            for kind, budget in budgets.items()
        ]
        # Levels rise with the price of weights as with the strength of a penalty.
        self._root = 1 / (2 - PENALTIES[penalty])
        self._prices = self._mixed(0.5)
        # Bytes and instructions are nearly proportional to nonzeros.
        self._last = max(
            1 - (budget - amount(kind, least)) / amount(kind, dense)
            for kind, budget in budgets.items()
        )

    def _check(self, budgets: Mapping[str, int], least: Cost, dense: Cost) -> None:
        is_met = all(amount(k, dense) <= band.ceiling for k, band in self._bands.items())
        for kind, budget in budgets.items():
            if is_met or amount(kind, least) > self._bands[kind].ceiling:
                fewest = math.ceil(amount(kind, least) / _BAND[kind][1])
                raise ConfigError(
                    f"{kind}={budget:,} is out of reach for this model on {self._target}; "
                    f"accepted: {fewest:,} (a block of weights per output) to "
                    f"{amount(kind, dense) - 1:,} (below dense)"
                )

    def zeros(self, now: Snapshot, *, progress: float) -> dict[TrainedLayer, float]:
        """Return the fraction of zeros to aim at in each selected layer.

        They leave more nonzeros than the budgets take.

        Args:
            now: weights, scores and input zeros at this moment.
            progress: 0..1 of the sparsifying phase.
        """
        if len(self._bands) > 1:
            trial, self._last = self._balanced(now)
        else:
            trial = self._trial(now)
            self._last = self._zeros_within(trial)
        reserve = _RESERVE_BEGIN + progress * (_RESERVE_END - _RESERVE_BEGIN)
        kept = {x: np.mean(trial.support(x, self._last)) for x in now.weights}
        return {
            x: max(0.0, 1 - float(share) * (1 + reserve)) if x.goal is None else x.goal
            for x, share in kept.items()
        }

    def _mixed(self, first: float) -> dict[TrainedLayer, float]:
        """Return the prices of which the first budget makes up a share, the other the rest."""
        weights = (first, 1 - first) if len(self._shares) > 1 else (1.0,)
        return {
            x: sum(w * share[x] for w, share in zip(weights, self._shares, strict=True))
            ** self._root
            for x in self._packable
        }

    def _balanced(self, now: Snapshot) -> tuple[_Trial, float]:
        """Mix the prices so that both budgets are used up, if one mixture does that.

        Weights that only relieve a budget with room to spare would be pruned for nothing. Return
        the fraction of zeros that meets both, too.
        """
        low, high = 0.0, 1.0
        for _ in range(_MIXTURES):
            first = (low + high) / 2
            self._prices = self._mixed(first)
            trial = self._trial(now)
            zeros = self._zeros_within(trial)
            spent = self._spent_on(trial, zeros)
            one, other = (
                amount(kind, spent) / band.minus(amount(kind, self._unpackable)).ceiling
                for kind, band in self._bands.items()
            )
            if min(one, other) > _COARSE:
                break
            low, high = (low, first) if one < other else (first, high)
        return trial, zeros

    def _trial(self, now: Snapshot) -> _Trial:
        return _Trial(now, self._prices, self._target, self._prefer)

    def _spent_on(self, trial: _Trial, zeros: float) -> Cost:
        return self._spent(trial, dict.fromkeys(trial.layers, zeros), self._readers)

    def _zeros_within(self, trial: _Trial) -> float:
        """Return the fraction of zeros, the same for all layers, that meets every budget."""
        spent = functools.cache(functools.partial(self._spent_on, trial))
        found = []
        for kind, band in self._bands.items():
            coarse = TargetBand(_COARSE * band.ceiling, band.ceiling)
            rest = coarse.minus(amount(kind, self._unpackable))
            taken = functools.partial(_taken, kind, spent)
            found.append(bracket(taken, rest, guess=self._last).below)
        return max(found)

    def supports(self, now: Snapshot) -> dict[TrainedLayer, Array]:
        """Return the weights that may stay so that the estimates are in the target bands.

        If the estimates are within the budgets already, all nonzeros stay.

        Returns:
            bool arrays in the shapes of the kernels.
        """
        trial = self._trial(now)
        present = trial.present
        found = {x: present for x in self._packable if x.goal is None}
        # One budget may raise the cost of another; more channels are removed with more zeros.
        for kind in [*self._bands] * 2:
            removed = amount(kind, self._removed(trial, found))
            costs, fixed = self._costs(kind, trial, found), self._fixed(kind, trial) - removed
            if sum(cost(present) for cost in costs.values()) + fixed <= self._most[kind]:
                continue
            rest = self._bands[kind].minus(fixed)
            shares = find_zeros(costs, rest, guess=max(self._last, present), least=present)
            found = {x: max(share, found[x]) for x, share in shares.items()}
        return {x: trial.support(x, found.get(x, present)) for x in now.weights}

    def _costs(
        self, kind: str, trial: _Trial, least: Mapping[TrainedLayer, float]
    ) -> dict[TrainedLayer, LayerCost]:
        """Return what each layer takes of a budget, by the fraction of zeros, at least `least`."""

        def cost(layer: TrainedLayer, zeros: float) -> int:
            return amount(kind, trial.cost(layer, max(zeros, least[layer])))

        return {x: functools.partial(cost, x) for x in self._packable if x.goal is None}

    def _fixed(self, kind: str, trial: _Trial) -> int:
        """Return what all other layers take of a budget."""
        own = (trial.cost(x, 0.0) for x in self._packable if x.goal is not None)
        return sum(amount(kind, cost) for cost in [self._unpackable, *own])

    def _removed(self, trial: _Trial, zeros: Mapping[TrainedLayer, float]) -> Cost:
        """Return what the model costs less because the converter removes channels."""
        whole, less = (self._spent(trial, zeros, readers) for readers in ({}, self._readers))
        return Cost(whole.bytes - less.bytes, whole.instructions - less.instructions)

    def _spent(
        self,
        trial: _Trial,
        zeros: Mapping[TrainedLayer, float],
        readers: Mapping[TrainedLayer, TrainedLayer],
    ) -> Cost:
        """Return the cost of the packable layers; their zeros are the present ones by default."""
        shares = {x: zeros.get(x, trial.present) for x in self._packable}
        if not readers:
            return total(trial.cost(x, share) for x, share in shares.items())
        kernels = {x: trial.left(x, share) for x, share in shares.items()}
        return model_cost(
            self._packable,
            kernels,
            self._target,
            prefer=self._prefer,
            input_zeros=trial.input_zeros,
            readers=readers,
        )

    def _total(self, layers: Sequence[TrainedLayer], kernels: Mapping[TrainedLayer, Array]) -> Cost:
        """Return the cost of `layers`, dense without an entry in `kernels`."""
        return model_cost(layers, kernels, self._target, prefer=self._prefer)


def _taken(kind: str, spent: Callable[[float], Cost], zeros: float) -> int:
    return amount(kind, spent(zeros))


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


class _Trial:
    """The costs of fractions of zeros at one moment of the fit.

    Fractions are those over all layers that adapt to the budgets, ranked together. Layers with
    their own goal keep to that. All others keep their weights.

    Args:
        now: the moment.
        prices: of the weights of each packable layer.
        target: a name of `targets.TARGETS`.
        prefer: the preference among layouts.
    """

    def __init__(
        self,
        now: Snapshot,
        prices: Mapping[TrainedLayer, float],
        target: str,
        prefer: Prefer | None,
    ) -> None:
        self._now, self._prices, self._target, self._prefer = now, prices, target, prefer
        adapted = [x for x in now.scores if x.goal is None and x.packable]
        ranked = [now.scores[x].ravel() / prices[x] for x in adapted]
        self._ranked = np.sort(np.concatenate(ranked)) if ranked else np.zeros(1)
        self._found: dict[tuple[TrainedLayer, float], Cost] = {}

    @property
    def input_zeros(self) -> Mapping[TrainedLayer, float]:
        """The fractions of zero inputs now."""
        return self._now.input_zeros

    @property
    def layers(self) -> Iterable[TrainedLayer]:
        """The selected layers."""
        return self._now.weights

    @property
    def present(self) -> float:
        """The fraction of zeros now."""
        return float(np.count_nonzero(self._ranked <= 0)) / len(self._ranked)

    def cost(self, layer: TrainedLayer, zeros: float) -> Cost:
        """Return the cost of a packable layer; of the dense one where zeros do not pay."""
        key = layer, zeros
        if key not in self._found:
            left = np.where(self._kept(layer, zeros), self._now.weights[layer], 0)
            share = self._now.input_zeros.get(layer, 0.0)
            self._found[key] = layer_cost(
                layer, left, self._target, prefer=self._prefer, input_zeros=share
            )
        return self._found[key]

    def left(self, layer: TrainedLayer, zeros: float) -> Array:
        """Return the weights that stay, others 0, in the shape of the kernel."""
        return np.where(self.support(layer, zeros), self._now.weights[layer], 0)

    def support(self, layer: TrainedLayer, zeros: float) -> Array:
        """Return bool in the shape of the kernel: True for the weights that stay."""
        if layer.goal is not None or (layer.packable and _skips_zeros(self.cost(layer, zeros))):
            return self._kept(layer, zeros)
        return np.asarray(self._now.scores[layer] > 0)

    def _kept(self, layer: TrainedLayer, zeros: float) -> Array:
        scores = self._now.scores[layer]
        if layer.goal is not None:
            return np.asarray(scores > _level(np.sort(scores.ravel()), layer.goal))
        return np.asarray(scores > _level(self._ranked, zeros) * self._prices[layer])


def _skips_zeros(cost: Cost) -> bool:
    """Return False for a dense layer, and for one that is packed with all its blocks."""
    return isinstance(cost, PackedCost) and cost.layout.index_encoding is not IndexEncoding.DENSE


def _level(ranked: Array, zeros: float) -> float:
    """Return the score up to which the fraction `zeros` of the ascending scores falls."""
    count = min(max(round(zeros * len(ranked)), 0), len(ranked))
    return max(float(ranked[count - 1]), 0.0) if count else 0.0
