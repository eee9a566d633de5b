"""A wrapper around the train step of one `fit`, and what is checked when it begins."""

from __future__ import annotations

import gc
import itertools
import warnings
from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from tflm_sparsesep.converters.errors import ConfigError
from tflm_sparsesep.training.keras_model import check_keras_model

TrainStep = Callable[[Any], Any]
_SAVERS = (keras.callbacks.BackupAndRestore, keras.callbacks.ModelCheckpoint)


def check_fit(model: Any, callback: str) -> None:
    """Raise ConfigError unless the callback of that name can hook into `model`."""
    check_keras_model(model)
    if keras.backend.backend() != "tensorflow":
        raise ConfigError(
            f"Keras runs on {keras.backend.backend()}; {callback} accepts TensorFlow only"
        )
    if not getattr(model, "compiled", False) or model.optimizer is None:
        raise ConfigError(
            f"model {model.name!r} is not compiled with an optimizer: call model.compile first"
        )


def warn_of_savers_before(callback: Any) -> None:
    """Warn if a callback that saves the model at the end of an epoch is listed before `callback`.

    It saves the weights before `callback` has set their zeros, and what it restores trains on to
    other weights.
    """
    lists = [found for found in gc.get_referrers(callback) if isinstance(found, list)]
    before = [itertools.takewhile(lambda other: other is not callback, found) for found in lists]
    savers = {
        type(other).__name__ for found in before for other in found if isinstance(other, _SAVERS)
    }
    for name in sorted(savers):
        mine = type(callback).__name__
        warnings.warn(
            f"{name} is listed before {mine}: it saves weights before {mine} sets their zeros, and "
            f"what it restores trains on to other weights; list {name} after {mine}",
            stacklevel=2,
        )


class TrainStepHook:
    """Puts a wrapper around the train step of one `fit`, and removes it again.

    Only `model.train_function` differs while the hook is active. The model, its class, its
    optimizer and what is saved of them are unchanged. The hook is removed by `remove`, when a step
    raises, and at the latest when another `fit` calls it (after an exception between steps).

    Args:
        model: a compiled Keras model at the beginning of `fit`.
        wrap: returns the train step to run in place of the given one.
    """

    def __init__(self, model: keras.Model, wrap: Callable[[TrainStep], TrainStep]) -> None:
        self._model = model
        self._history = getattr(model, "history", None)  # a new object for each fit
        self._original = model.train_function
        self._compiled = _make_train_function(model, wrap)
        model.train_function = self._run

    @property
    def active(self) -> bool:
        """True until the hook is removed."""
        return bool(self._model.train_function == self._run)

    def remove(self) -> None:
        """Restore the model's own train function; do nothing the second time."""
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
    """Return the train function that Keras makes of the train step `wrap(model.train_step)`."""
    own = vars(model).get("train_step")
    model.train_step = wrap(model.train_step)
    try:
        model.make_train_function(force=True)
    finally:
        del model.train_step
        if own is not None:
            model.train_step = own
    return model.train_function


class UntilBuilt:
    """Waits for the first batch of a `fit` to build a model that does not know its inputs yet.

    Before the first step the model is built from the kind of data that `fit` has, and `start` is
    called. No data is taken.

    Args:
        model: a compiled Keras model at the beginning of `fit`.
        start: called when the model is built.
    """

    def __init__(self, model: keras.Model, start: Callable[[], None]) -> None:
        self._model, self._start = model, start
        self._history = getattr(model, "history", None)
        self._original = model.train_function
        model.train_function = self._run

    def _run(self, iterator: Any) -> Any:
        model = self._model
        model.train_function = self._original
        if getattr(model, "history", None) is self._history:
            data, _, _ = keras.utils.unpack_x_y_sample_weight(iterator.element_spec)
            model(keras.tree.map_structure(_symbolic, data))
            self._start()
        return model.train_function(iterator)


def _symbolic(spec: Any) -> keras.KerasTensor:
    return keras.KerasTensor(tuple(spec.shape), spec.dtype.name)
