"""Small Keras models and data, and fits of them, for tests of the training side."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import numpy.typing as npt

RNG = np.random.default_rng(0)
X = RNG.normal(size=(64, 12)).astype(np.float32)
# Four of twelve inputs matter.
Y = (X[:, :4] @ RNG.normal(size=(4, 3)) + 0.1 * RNG.normal(size=(64, 3))).astype(np.float32)


class CountingModel(keras.Sequential):  # type: ignore[misc]
    """A model that counts how often its train step is traced."""

    traces = 0

    def train_step(self, data: Any) -> Any:
        """Count the call, and take the step."""
        self.traces += 1
        return super().train_step(data)


def linear_model(optimizer: Any, **compile_options: Any) -> Any:
    """Least squares: one Dense layer of 12 x 3."""
    keras.utils.set_random_seed(1)
    model = CountingModel([keras.Input((12,)), keras.layers.Dense(3, name="dense")])
    model.compile(optimizer, "mse", **compile_options)
    return model


def deep_model(optimizer: Any = "adam", **compile_options: Any) -> Any:
    """Three Dense layers, 344 weights in their kernels, and a normalization."""
    keras.utils.set_random_seed(1)
    layers = keras.layers
    model = CountingModel(
        [
            keras.Input((12,)),
            layers.Dense(16, "relu", name="first", bias_initializer="ones"),
            layers.BatchNormalization(name="norm"),
            layers.Dense(8, "relu", name="second"),
            layers.Dense(3, name="last"),
        ]
    )
    model.compile(optimizer, "mse", **compile_options)
    return model


def fit(model: Any, callback: Any, epochs: int, *, steps: int = 1, **options: Any) -> Any:
    """A fit whose every epoch has `steps` steps, always in the same order."""
    callbacks = [callback] if callback else []
    size = len(X) // steps
    return model.fit(
        X,
        Y,
        batch_size=size,
        epochs=epochs,
        shuffle=False,
        verbose=0,
        callbacks=callbacks,
        **options,
    )


def array(variable: Any) -> npt.NDArray[Any]:
    """The values of a `keras.Variable`."""
    values: npt.NDArray[Any] = variable.numpy()
    return values


def zeros_of(*layers: Any) -> float:
    """The fraction of zeros over the kernels of all layers."""
    kernels = [array(layer.kernel) for layer in layers]
    return float(np.mean(np.concatenate([kernel.ravel() == 0 for kernel in kernels])))


class Interrupt(Exception):
    """Raised in place of a power cut."""


class InterruptAt(keras.callbacks.Callback):  # type: ignore[misc]
    """Ends a fit at the start of an epoch."""

    def __init__(self, epoch: int) -> None:
        super().__init__()
        self.epoch = epoch

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Raise Interrupt at the epoch."""
        if epoch == self.epoch:
            raise Interrupt
