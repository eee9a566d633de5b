"""The proximal step inside the compiled train step of a Keras model (TensorFlow backend)."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from tflm_sparsesep import proximal
from tflm_sparsesep.sparsifiable import find_preconditioner, innermost

TrainStep = Callable[[Any], Any]

# Optimizer steps between two projections on a goal of zeros. Weights grow back in between, so
# that a weight dropped too early can return: every single step would freeze the first choice.
_STEPS_PER_PROJECTION = 32


class ProximalStep:
    """Makes kernels sparse after each optimizer step.

    One step, for each kernel, w being its weights after the optimizer's full step:

        w <- soft_threshold(w, eta * strength / D)            every step
        w <- the share `zeros` of lowest scores set to 0      every 32nd step
        w <- w where the support is true, else +0.0           every step

    All that changes between epochs (strength, zeros, support) is kept in variables, so that the
    step is traced once. Steps that do not reach the weights (gradient accumulation, overflow of a
    scaled loss) are left alone.

    Args:
        model: the compiled and built model that is being trained.
        kernels: the `keras.Variable`s to make sparse.
        preconditioned: D is the optimizer's second moment if true, else 1.

    Raises:
        ConfigError: the optimizer has no second moment.
    """

    def __init__(self, model: Any, kernels: Sequence[Any], *, preconditioned: bool) -> None:
        self._strategy = model.distribute_strategy
        self._optimizer = innermost(model.optimizer)
        self._kernels = list(kernels)
        self._preconditioners: list[Callable[[], Any]] = [
            find_preconditioner(self._optimizer, kernel) if preconditioned else lambda: 1.0
            for kernel in kernels
        ]
        with self._strategy.scope():
            self._strength = tf.Variable(0.0, trainable=False)
            # Zeros wanted rise linearly from begin to end over the updates after ramp_begin.
            self._zeros_begin = tf.Variable(0, trainable=False)
            self._zeros_end = tf.Variable(0, trainable=False)
            self._ramp_begin = tf.Variable(0, trainable=False)
            self._ramp_updates = tf.Variable(1, trainable=False)
            self._supports = [
                tf.Variable(tf.ones(kernel.shape, tf.bool), trainable=False) for kernel in kernels
            ]
        self._project_now = tf.function(self._project_in_place)
        self.size = sum(int(np.prod(kernel.shape)) for kernel in kernels)

    def set_strength(self, strength: float) -> None:
        """Sets the L1 penalty from the next step on; 0 stops the shrinking."""
        self._strength.assign(strength)

    def set_zeros(self, end: float, *, begin: float | None = None, updates: int = 1) -> None:
        """Sets the fraction of zeros that projections reach; 0 stops them.

        Args:
            end: the fraction, reached after `updates` steps of the optimizer from now.
            begin: the fraction now, `end` if not given.
            updates: 1 or more.
        """
        self._zeros_begin.assign(self._count(end if begin is None else begin))
        self._zeros_end.assign(self._count(end))
        self._ramp_begin.assign(self.updates())
        self._ramp_updates.assign(max(updates, 1))

    def updates(self) -> int:
        """The steps that the optimizer has taken so far."""
        return int(tf.identity(self._optimizer.iterations))

    def project(self) -> None:
        """Projects the weights, now, on the end that `set_zeros` gave and on the support."""
        with self._strategy.scope():
            self._project_now()

    def freeze_support(self) -> None:
        """Keeps every weight at 0 that is 0 now; stops shrinking and projecting."""
        self.set_strength(0.0)
        self.set_zeros(0.0)
        for support, kernel in zip(self._supports, self._kernels, strict=True):
            support.assign(tf.not_equal(tf.convert_to_tensor(kernel), 0))

    def zeros(self) -> float:
        """The fraction of zeros over all kernels, now."""
        return sum(_count_zeros(kernel) for kernel in self._kernels) / self.size

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
                self._update, args=(learning_rate, updated)
            )
            return logs

        return train_step_and_proximal_step

    def _update(self, strategy: Any, learning_rate: Any, updated: Any) -> None:
        # All replicas hold the same weights and take the same step: the first speaks for all.
        updated = strategy.experimental_local_results(updated)[0]
        learning_rate = strategy.experimental_local_results(learning_rate)[0]
        rate = tf.where(updated, tf.cast(learning_rate, tf.float32), 0.0)
        kept = self._weights()
        weights = tf.cond(self._strength > 0, lambda: self._shrunk(kept, rate), lambda: kept)
        iterations = ops.cast(self._optimizer.iterations, "int32")
        due = updated & (self._zeros_end > 0) & (iterations % _STEPS_PER_PROJECTION == 0)
        weights = tf.cond(
            due, lambda: self._projected(weights, self._zeros_wanted(iterations)), lambda: weights
        )
        self._assign(strategy, weights)

    def _project_in_place(self) -> None:
        self._assign(self._strategy, self._projected(self._weights(), self._zeros_end))

    def _shrunk(self, weights: Sequence[Any], rate: Any) -> list[Any]:
        return [
            proximal.soft_threshold(w, proximal.l1_threshold(rate, self._strength, diagonal))
            for w, diagonal in zip(weights, self._diagonals(), strict=True)
        ]

    def _projected(self, weights: Sequence[Any], zeros: Any) -> list[Any]:
        diagonals = self._diagonals()
        scores = [proximal.l0_score(w, d) for w, d in zip(weights, diagonals, strict=True)]
        level = proximal.level_for_zeros(scores, zeros)
        return [
            proximal.hard_threshold(w, score, level)
            for w, score in zip(weights, scores, strict=True)
        ]

    def _zeros_wanted(self, iterations: Any) -> Any:
        share = (iterations - self._ramp_begin) / self._ramp_updates
        rise = tf.cast(self._zeros_end - self._zeros_begin, share.dtype)
        risen = tf.math.ceil(tf.clip_by_value(share, 0, 1) * rise)
        return self._zeros_begin + tf.cast(risen, tf.int32)

    def _diagonals(self) -> list[Any]:
        return [preconditioner() for preconditioner in self._preconditioners]

    def _count(self, zeros: float) -> int:
        # The small term keeps 0.9 * 10 = 9.000000000000002 at 9.
        return math.ceil(zeros * self.size - 1e-6)

    def _weights(self) -> list[Any]:
        return [ops.cast(kernel, "float32") for kernel in self._kernels]

    def _assign(self, strategy: Any, weights: Sequence[Any]) -> None:
        for kernel, w, support in zip(self._kernels, weights, self._supports, strict=True):
            value = tf.cast(tf.where(support, w, 0.0), kernel.dtype)
            strategy.extended.update(
                kernel.value, lambda variable, new: variable.assign(new), args=(value,)
            )


def _count_zeros(kernel: Any) -> int:
    return int(np.count_nonzero(kernel.numpy() == 0))


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
