"""The proximal step inside the compiled train step of a Keras model (TensorFlow backend)."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf
from keras import ops

from tflm_sparsesep.training import proximal
from tflm_sparsesep.training.input_sparsity import input_zeros
from tflm_sparsesep.training.patterns import Blocks
from tflm_sparsesep.training.sparsifiable import SparseKernel, find_preconditioner, innermost
from tflm_sparsesep.training.weight_grid import WeightGrid

TrainStep = Callable[[Any], Any]

# Optimizer steps between two projections on a goal of zeros. Weights grow back in between, so
# that a weight dropped too early can return: every single step would freeze the first choice.
STEPS_PER_PROJECTION = 32


class ProximalStep:
    """Makes kernels sparse after each optimizer step.

    One step, w being weights after the optimizer's full step, does one of

        w <- the proximal step of the penalty at eta * strength       every step
        w <- the proximal step at the level that leaves `zeros`       every 32nd step
        w <- w where the support is true, else +0.0                   every step

    or nothing. Kernels that share a goal are ranked together. All that changes between epochs
    (strength, zeros, support) is kept in variables, so that the step is traced once. Steps that do
    not reach the weights (gradient accumulation, overflow of a scaled loss) are left alone.

    Args:
        model: the compiled and built model that is being trained.
        kernels: what to make sparse.
        penalty: a name of `proximal.PENALTIES`.
        watched: layers whose share of zero inputs is measured on every 32nd batch.
        preconditioned: D is the optimizer's second moment if true, else 1.
        grid: once it is active, the values that kernels on a fixed support are rounded to.

    Raises:
        ConfigError: the optimizer has no second moment.
    """

    def __init__(
        self,
        model: Any,
        kernels: Sequence[SparseKernel],
        *,
        penalty: str,
        preconditioned: bool,
        watched: Sequence[Any] = (),
        grid: WeightGrid | None = None,
    ) -> None:
        self._model = model
        self._grid = grid
        self._watched = list(watched)
        self._strategy = model.distribute_strategy
        self._optimizer = innermost(model.optimizer)
        self._penalty = penalty
        self.kernels = list(kernels)
        self._preconditioners: list[Callable[[], Any]] = [
            find_preconditioner(self._optimizer, k.kernel) if preconditioned else lambda: 1.0
            for k in kernels
        ]
        shared = [i for i, k in enumerate(kernels) if k.goal is None]
        own = [[i] for i, k in enumerate(kernels) if k.goal is not None]
        self._groups = [group for group in (shared, *own) if group]
        self._group_sizes = [sum(self.sizes()[i] for i in group) for group in self._groups]
        groups = len(self._groups)
        with self._strategy.scope():
            self._strengths = tf.Variable(tf.zeros(groups), trainable=False)
            # Zeros wanted rise linearly from begin to end over the updates after ramp_begin.
            self._zeros_begin = tf.Variable(tf.zeros(groups, tf.int32), trainable=False)
            self._zeros_end = tf.Variable(tf.zeros(groups, tf.int32), trainable=False)
            self._ramp_begin = tf.Variable(0, trainable=False)
            self._ramp_updates = tf.Variable(1, trainable=False)
            self._input_zeros = tf.Variable(tf.zeros(len(watched)), trainable=False)
            self._batches_measured = tf.Variable(0.0, trainable=False)
            self._frozen = tf.Variable(False, trainable=False)
            self._supports = [
                tf.Variable(tf.ones(k.kernel.shape, tf.bool), trainable=False) for k in kernels
            ]
        self._project_now = tf.function(self._project_in_place, autograph=False)

    def set_strength(self, strength: float) -> None:
        """Sets the penalty from the next step on, but for kernels with their own."""
        self._strengths.assign(self._goals(strength))

    def set_zeros(
        self, goal: float, *, begin: float = 1.0, end: float = 1.0, updates: int = 1
    ) -> None:
        """Sets the fraction of zeros that projections reach.

        Args:
            goal: the fraction over all kernels but those with their own.
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
        """The steps that the optimizer has taken so far."""
        return int(tf.identity(self._optimizer.iterations))

    def project(self) -> None:
        """Projects the weights, now, on the end that `set_zeros` gave or on the support."""
        with self._strategy.scope():
            self._project_now()

    def freeze_support(self, allowed: Mapping[str, npt.NDArray[Any]] | None = None) -> None:
        """Keeps every block at 0 that is all 0 now; stops shrinking and projecting.

        With `allowed` (bool arrays by name, in the shapes of the kernels), all else becomes 0 too.
        """
        for goals in (self._strengths, self._zeros_begin, self._zeros_end):
            goals.assign(tf.zeros_like(goals))
        for support, k in zip(self._supports, self.kernels, strict=True):
            kept = k.blocks.kept(tf.convert_to_tensor(k.kernel))
            support.assign(kept if allowed is None else kept & allowed[k.name])
        self._frozen.assign(True)
        self.project()

    def scores(self) -> list[npt.NDArray[Any]]:
        """What each weight is ranked by now, in the shapes of the kernels."""
        scores = []
        for k, w, read in zip(self.kernels, self._weights(), self._preconditioners, strict=True):
            found = proximal.score(w, read(), penalty=self._penalty, blocks=k.blocks)
            spread = found if k.blocks.area == 1 else k.blocks.spread(found, w.shape)
            scores.append(spread.numpy())
        return scores

    def measure_anew(self) -> None:
        """Begins another average of the shares of zero inputs; the last one holds until then."""
        self._batches_measured.assign(0.0)

    def input_zeros(self) -> dict[str, float]:
        """The share of zero inputs of each watched layer, by its name, averaged over the epoch."""
        shares = self._input_zeros.numpy()
        names = {id(k.layer): k.name for k in self.kernels}
        return {names[id(x)]: float(s) for x, s in zip(self._watched, shares, strict=True)}

    def zeros(self) -> list[int]:
        """The weights of each kernel that are 0, now; of a block that is kept all count as kept."""
        kept = [k.blocks.kept(tf.convert_to_tensor(k.kernel)) for k in self.kernels]
        return [int(np.count_nonzero(~mask.numpy())) for mask in kept]

    def sizes(self) -> list[int]:
        """The weights of each kernel."""
        return [math.prod(k.kernel.shape) for k in self.kernels]

    def wrap(self, train_step: TrainStep) -> TrainStep:
        """`train_step` followed by the proximal step."""

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
        """Shares of zero inputs of the watched layers in this batch, if they are due."""
        if not self._watched:
            return tf.zeros(0)
        return tf.cond(
            self._is_on_time(),
            lambda: input_zeros(self._model, self._watched, data),
            lambda: tf.zeros(len(self._watched)),
        )

    def _average_in(self, strategy: Any, measured: Any) -> Any:
        """Batches differ by some percent, about as much as decides between two layouts."""
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
            tf.cond(
                on_time,
                lambda: self._average_in(strategy, measured),
                tf.no_op,
            )
        # Weights are read and written only in the branch that is taken.
        tf.cond(shrinks, lambda: self._assign(strategy, self._shrunk(rate)), tf.no_op)
        tf.cond(
            projects,
            lambda: self._assign(strategy, self._projected(self._zeros_wanted(iterations))),
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
        """The weights after the step whose level is `level_of(group, scores, blocks)`."""
        weights, diagonals = self._weights(), [read() for read in self._preconditioners]
        blocks = [k.blocks for k in self.kernels]
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
        """Assigns the weights on the support, rounded if they have to be."""
        grid = self._grid
        if grid is None:
            return self._assign(strategy, self._supported())
        supports = [(k.kernel, s) for k, s in zip(self.kernels, self._supports, strict=True)]
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

    def _zeros_wanted(self, iterations: Any) -> Any:
        share = (iterations - self._ramp_begin) / self._ramp_updates
        rise = tf.cast(self._zeros_end - self._zeros_begin, share.dtype)
        risen = tf.math.ceil(tf.clip_by_value(share, 0, 1) * rise)
        return self._zeros_begin + tf.cast(risen, tf.int32)

    def _goals(self, common: float) -> list[float]:
        """The goal of each group."""
        own = [self.kernels[group[0]].goal for group in self._groups]
        return [common if goal is None else goal for goal in own]

    def _counts(self, goals: Sequence[float], share: float) -> list[int]:
        # The small term keeps 0.9 * 10 = 9.000000000000002 at 9.
        return [
            math.ceil(share * goal * size - 1e-6)
            for goal, size in zip(goals, self._group_sizes, strict=True)
        ]

    def _weights(self) -> list[Any]:
        return [ops.cast(k.kernel, "float32") for k in self.kernels]

    def _assign(self, strategy: Any, weights: Sequence[Any]) -> Any:
        kernels = [k.kernel for k in self.kernels]
        values = [tf.cast(w, kernel.dtype) for kernel, w in zip(kernels, weights, strict=True)]
        return self._set(strategy, [kernel.value for kernel in kernels], values)

    @staticmethod
    def _set(strategy: Any, variables: Sequence[Any], values: Sequence[Any]) -> Any:
        """Gives variables their values on all replicas."""
        return tf.group(
            *(
                strategy.extended.update(variable, lambda v, new: v.assign(new), args=(value,))
                for variable, value in zip(variables, values, strict=True)
            )
        )


class TrainStepHook:
    """Puts a wrapper around the train step of one `fit`, and takes it out again.

    Only `model.train_function` differs while the hook is in; the model, its class, its optimizer
    and what is saved of them stay as they are. It goes out by `remove`, when a step raises, and at
    the latest when another `fit` calls it (which happens after an exception between steps).
    """

    def __init__(self, model: keras.Model, wrap: Callable[[TrainStep], TrainStep]) -> None:
        self._model = model
        self._history = getattr(model, "history", None)  # a new object for each fit
        self._original = model.train_function
        self._compiled = _make_train_function(model, wrap)
        model.train_function = self._run

    @property
    def active(self) -> bool:
        """Whether the hook is in."""
        return bool(self._model.train_function == self._run)

    def remove(self) -> None:
        """Gives the model its own train function back; does nothing the second time."""
        if self.active:
            self._model.train_function = self._original

    def _run(self, iterator: Any) -> Any:
        if getattr(self._model, "history", None) is not self._history:
            self.remove()
            self._model.make_train_function()
            return self._model.train_function(iterator)
        try:
            return self._compiled(iterator)
        except (StopIteration, tf.errors.OutOfRangeError):
            raise  # the end of the data, which fit catches
        except BaseException:
            self.remove()
            raise


def _make_train_function(model: Any, wrap: Callable[[TrainStep], TrainStep]) -> Any:
    """The train function that Keras makes when `wrap(model.train_step)` is the train step."""
    own = vars(model).get("train_step")
    model.train_step = wrap(model.train_step)
    try:
        model.make_train_function(force=True)
    finally:
        del model.train_step
        if own is not None:
            model.train_step = own
    return model.train_function
