"""The proximal step inside the compiled train step of a Keras model (TensorFlow backend)."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf
from keras import ops

from tflm_sparsesep.training import proximal
from tflm_sparsesep.training.input_sparsity import input_sparsity_keras
from tflm_sparsesep.training.patterns import Blocks
from tflm_sparsesep.training.preconditioner import find_preconditioner, innermost
from tflm_sparsesep.training.train_step_hook import TrainStep
from tflm_sparsesep.training.trained_layer import TrainedLayer
from tflm_sparsesep.training.weight_grid import WeightGrid

# Optimizer steps between two projections on a goal of zeros. Weights grow back in between, so
# that a weight pruned too early can return: projecting in every step would freeze the first choice.
STEPS_PER_PROJECTION = 32


class ProximalStep:
    """Sparsifies kernels after each optimizer step.

    With w the weights after the optimizer's full step, a step does one of

        w <- the proximal step of the penalty at eta * strength       every step
        w <- the proximal step at the level that leaves `zeros`       every 32nd step
        w <- w where the support is true, else +0.0                   every step

    or nothing. Layers that share a goal are ranked together. Everything that changes between epochs
    (strength, zeros, support) is kept in variables, so that the step is traced once. Steps that do
    not reach the weights (gradient accumulation, overflow of a scaled loss) change nothing.

    Args:
        model: the compiled and built model that is being trained.
        layers: the layers to sparsify.
        penalty: a name of `proximal.PENALTIES`.
        preconditioned: D is the optimizer's second moment if True, else 1.
        watched: those of `layers` whose zero inputs are measured on every 32nd batch.
        grid: once active, it rounds kernels on a fixed support.
        apart: each layer reaches zeros of its own.

    Raises:
        ConfigError: the optimizer has no second moment.
    """

    def __init__(
        self,
        model: Any,
        layers: Sequence[TrainedLayer],
        *,
        penalty: str,
        preconditioned: bool,
        watched: Sequence[TrainedLayer] = (),
        grid: WeightGrid | None = None,
        apart: bool = False,
    ) -> None:
        self._model = model
        self._grid = grid
        self._watched = list(watched)
        self._strategy = model.distribute_strategy
        self._optimizer = innermost(model.optimizer)
        self._penalty = penalty
        self.layers = list(layers)
        self._preconditioners: list[Callable[[], Any]] = [
            find_preconditioner(self._optimizer, x.kernel) if preconditioned else lambda: 1.0
            for x in layers
        ]
        shared = [i for i, x in enumerate(layers) if x.goal is None and not apart]
        own = [[i] for i in range(len(layers)) if i not in shared]
        self._groups = [group for group in (shared, *own) if group]
        groups = len(self._groups)
        with self._strategy.scope():
            self._strengths = tf.Variable(tf.zeros(groups), trainable=False)
            # The zeros due rise linearly from begin to end over the updates after ramp_begin.
            self._zeros_begin = tf.Variable(tf.zeros(groups, tf.int32), trainable=False)
            self._zeros_end = tf.Variable(tf.zeros(groups, tf.int32), trainable=False)
            self._ramp_begin = tf.Variable(0, trainable=False)
            self._ramp_updates = tf.Variable(1, trainable=False)
            self._input_zeros = tf.Variable(tf.zeros(len(watched)), trainable=False)
            self._batches_measured = tf.Variable(0.0, trainable=False)
            self._frozen = tf.Variable(False, trainable=False)
            self._supports = [
                tf.Variable(tf.ones(x.kernel.shape, tf.bool), trainable=False) for x in layers
            ]
        self._project_now = tf.function(self._project_in_place, autograph=False)

    def set_strength(self, strength: float) -> None:
        """Set the penalty from the next step on, except for layers with their own."""
        self._strengths.assign(self._goals(strength))

    def set_zeros(
        self,
        goal: float | Mapping[TrainedLayer, float],
        *,
        begin: float = 1.0,
        end: float = 1.0,
        updates: int = 1,
    ) -> None:
        """Set the fraction of zeros that projections reach.

        Args:
            goal: the fraction over all layers without their own; or of each, where layers are
                apart.
            begin: the share of every goal that is due now.
            end: the share that is due after `updates` steps of the optimizer from now.
            updates: 1 or more.
        """
        goals = self._goals(goal)
        self._zeros_begin.assign(self._counts(goals, begin))
        self._zeros_end.assign(self._counts(goals, end))
        self._ramp_begin.assign(self.updates())
        self._ramp_updates.assign(max(updates, 1))

    def updates(self) -> int:
        """Return the number of steps that the optimizer has taken."""
        return int(tf.identity(self._optimizer.iterations))

    def project(self) -> None:
        """Project the weights now, on the end that `set_zeros` gave or on the support."""
        with self._strategy.scope():
            self._project_now()

    def freeze_support(
        self, allowed: Mapping[TrainedLayer, npt.NDArray[Any]] | None = None
    ) -> None:
        """Keep every block at 0 that is all 0 now; stop shrinking and projecting.

        Args:
            allowed: bool arrays in the shapes of the kernels; where False, weights become 0, too.
        """
        for goals in (self._strengths, self._zeros_begin, self._zeros_end):
            goals.assign(tf.zeros_like(goals))
        for support, layer in zip(self._supports, self.layers, strict=True):
            kept = layer.blocks.kept(tf.convert_to_tensor(layer.kernel))
            support.assign(kept if allowed is None else kept & allowed[layer])
        self._frozen.assign(True)
        self.project()

    def scores(self) -> dict[TrainedLayer, npt.NDArray[Any]]:
        """Return the present rank of each weight, in the shapes of the kernels."""
        scores = {}
        for layer, w, read in zip(self.layers, self._weights(), self._preconditioners, strict=True):
            blocks = layer.blocks
            found = proximal.score(w, read(), penalty=self._penalty, blocks=blocks)
            spread = found if blocks.area == 1 else blocks.spread(found, w.shape)
            scores[layer] = spread.numpy()
        return scores

    def restart_measurement(self) -> None:
        """Begin another average of zero inputs; the last one holds until the next batch."""
        self._batches_measured.assign(0.0)

    def input_zeros(self) -> dict[TrainedLayer, float]:
        """Return the fraction of zero inputs of each watched layer, averaged over the epoch."""
        return dict(zip(self._watched, map(float, self._input_zeros.numpy()), strict=True))

    def zeros(self) -> dict[TrainedLayer, int]:
        """Return the number of zero weights of each layer.

        All weights of a kept block count as nonzero.
        """
        kept = {x: x.blocks.kept(tf.convert_to_tensor(x.kernel)) for x in self.layers}
        return {layer: int(np.count_nonzero(~mask.numpy())) for layer, mask in kept.items()}

    def wrap(self, train_step: TrainStep) -> TrainStep:
        """Return `train_step` followed by the proximal step."""

        def train_step_and_proximal_step(data: Any) -> Any:
            # tf.identity reads variables now; Keras' own conversions may hand the variable on.
            before = tf.identity(self._optimizer.iterations)
            # A schedule gives the next step's rate once the iteration counter has moved on.
            learning_rate = tf.identity(self._optimizer.learning_rate)
            logs = train_step(data)
            updated = tf.not_equal(tf.identity(self._optimizer.iterations), before)
            tf.distribute.get_replica_context().merge_call(
                self._update, args=(learning_rate, updated, self._measured(data))
            )
            return logs

        return train_step_and_proximal_step

    def _measured(self, data: Any) -> Any:
        """Return the fractions of zero inputs in this batch, if they are due."""
        if not self._watched:
            return tf.zeros(0)
        layers = [x.layer for x in self._watched]
        return tf.cond(
            self._is_on_time(),
            lambda: input_sparsity_keras(self._model, layers, data),
            lambda: tf.zeros(len(layers)),
        )

    def _average_in(self, strategy: Any, measured: Any) -> Any:
        """Update the average: batches differ by some percent, enough to change a layout."""
        count = tf.identity(self._batches_measured) + 1
        before = tf.identity(self._input_zeros)
        average = before + (measured - before) / count
        variables = [self._input_zeros, self._batches_measured]
        return self._set(strategy, variables, [average, count])

    def _is_on_time(self) -> Any:
        return ops.cast(self._optimizer.iterations, "int32") % STEPS_PER_PROJECTION == 0

    def _update(self, strategy: Any, learning_rate: Any, updated: Any, measured: Any) -> None:
        # All replicas hold the same weights and take the same step: the first speaks for all.
        updated = strategy.experimental_local_results(updated)[0]
        rate = tf.cast(strategy.experimental_local_results(learning_rate)[0], tf.float32)
        iterations = ops.cast(self._optimizer.iterations, "int32")
        on_time = self._is_on_time()
        shrinks = updated & tf.reduce_any(self._strengths > 0)
        projects = updated & tf.reduce_any(self._zeros_end > 0) & on_time
        if self._watched:
            measured = strategy.experimental_local_results(measured)[0]
            tf.cond(on_time, lambda: self._average_in(strategy, measured), tf.no_op)
        # Weights are read and written only in the branch that is taken.
        tf.cond(shrinks, lambda: self._assign(strategy, self._shrunk(rate)), tf.no_op)
        tf.cond(
            projects,
            lambda: self._assign(strategy, self._projected(self._zeros_due(iterations))),
            tf.no_op,
        )
        tf.cond(updated & self._frozen, lambda: self._keep_support(strategy), tf.no_op)

    def _project_in_place(self) -> None:
        tf.cond(
            self._frozen,
            lambda: self._keep_support(self._strategy),
            lambda: self._assign(self._strategy, self._projected(self._zeros_end)),
        )

    def _shrunk(self, rate: Any) -> list[Any]:
        levels = proximal.zeroing_level(self._penalty, rate * self._strengths)
        return self._after_proximal_step(lambda group, scores, blocks: levels[group])

    def _projected(self, zeros: Any) -> list[Any]:
        return self._after_proximal_step(
            lambda group, scores, blocks: proximal.level_for_zeros(scores, zeros[group], blocks)
        )

    def _after_proximal_step(
        self, level_of: Callable[[int, list[Any], list[Blocks]], Any]
    ) -> list[Any]:
        """Return the weights after the step whose level is `level_of(group, scores, blocks)`."""
        weights, diagonals = self._weights(), [read() for read in self._preconditioners]
        blocks = [x.blocks for x in self.layers]
        scores = [
            proximal.score(w, d, penalty=self._penalty, blocks=b)
            for w, d, b in zip(weights, diagonals, blocks, strict=True)
        ]
        for number, group in enumerate(self._groups):
            level = level_of(number, [scores[i] for i in group], [blocks[i] for i in group])
            for i in group:
                weights[i] = proximal.proximal_step(
                    weights[i],
                    scores[i],
                    level,
                    diagonals[i],
                    penalty=self._penalty,
                    blocks=blocks[i],
                )
        return weights

    def _keep_support(self, strategy: Any) -> Any:
        """Assign the weights on the support, rounded once the grid is active."""
        grid = self._grid
        if grid is None:
            return self._assign(strategy, self._supported())
        supports = dict(zip(self.layers, self._supports, strict=True))
        return tf.cond(
            grid.active,
            lambda: self._set(strategy, *grid.rounded(supports)),
            lambda: self._assign(strategy, self._supported()),
        )

    def _supported(self) -> list[Any]:
        return [
            tf.where(support, w, 0.0)
            for support, w in zip(self._supports, self._weights(), strict=True)
        ]

    def _zeros_due(self, iterations: Any) -> Any:
        share = (iterations - self._ramp_begin) / self._ramp_updates
        rise = tf.cast(self._zeros_end - self._zeros_begin, share.dtype)
        risen = tf.math.ceil(tf.clip_by_value(share, 0, 1) * rise)
        return self._zeros_begin + tf.cast(risen, tf.int32)

    def _goals(self, common: float | Mapping[TrainedLayer, float]) -> list[float]:
        """Return the goal of each group."""
        first = [self.layers[group[0]] for group in self._groups]
        if isinstance(common, Mapping):
            return [common[layer] for layer in first]
        own = [layer.goal for layer in first]
        return [common if goal is None else goal for goal in own]

    def _counts(self, goals: Sequence[float], share: float) -> list[int]:
        """Return the zeros of each group at `share` of its goal."""
        sizes = [sum(self.layers[i].size for i in group) for group in self._groups]
        # The small term keeps 0.9 * 10 = 9.000000000000002 at 9.
        return [
            math.ceil(share * goal * size - 1e-6) for goal, size in zip(goals, sizes, strict=True)
        ]

    def _weights(self) -> list[Any]:
        return [ops.cast(x.kernel, "float32") for x in self.layers]

    def _assign(self, strategy: Any, weights: Sequence[Any]) -> Any:
        kernels = [x.kernel for x in self.layers]
        values = [tf.cast(w, kernel.dtype) for kernel, w in zip(kernels, weights, strict=True)]
        return self._set(strategy, [kernel.value for kernel in kernels], values)

    @staticmethod
    def _set(strategy: Any, variables: Sequence[Any], values: Sequence[Any]) -> Any:
        """Assign values to variables on all replicas."""
        return tf.group(
            *(
                strategy.extended.update(variable, lambda v, new: v.assign(new), args=(value,))
                for variable, value in zip(variables, values, strict=True)
            )
        )
