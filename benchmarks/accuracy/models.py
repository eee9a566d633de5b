"""The networks of the benchmark, built alike by Keras 3 and by tf-keras.

Weights are exchanged as lists in the order of `get_weights`: for each layer kernel, then bias.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Model:
    """A network with the recipe that every method trains it by.

    dataset: a name of `data.load`. input_shape: of one sample. epochs: of every method.
    learning_rates: what Adam may start from; the best on the validation split is taken.
    layers: given the Keras module, the layers after the input, the last one a softmax.
    """

    name: str
    dataset: str
    input_shape: tuple[int, ...]
    epochs: int
    layers: Callable[[Any], list[Any]]
    learning_rates: tuple[float, ...] = (1e-3, 2e-3, 3e-3, 5e-3)
    batch_size: int = 128

    def build(self, keras: Any) -> Any:
        """The network with fresh weights, not compiled."""
        inputs = keras.Input(self.input_shape)
        return keras.Sequential([inputs, *self.layers(keras.layers)], name=self.name)


def _lenet_300_100(layers: Any) -> list[Any]:
    return [
        layers.Flatten(),
        layers.Dense(300, activation="relu"),
        layers.Dense(100, activation="relu"),
        layers.Dense(10, activation="softmax"),
    ]


def _lenet_5(layers: Any) -> list[Any]:
    return [
        layers.Conv2D(20, 5, activation="relu"),
        layers.MaxPooling2D(),
        layers.Conv2D(50, 5, activation="relu"),
        layers.MaxPooling2D(),
        layers.Flatten(),
        layers.Dense(500, activation="relu"),
        layers.Dense(10, activation="softmax"),
    ]


def _watch_cnn(layers: Any) -> list[Any]:
    return [
        layers.Conv1D(16, 5, activation="relu"),
        layers.MaxPooling1D(),
        layers.Conv1D(32, 5, activation="relu"),
        layers.MaxPooling1D(),
        layers.Flatten(),
        layers.Dense(100, activation="relu"),
        layers.Dense(7, activation="softmax"),
    ]


def _watch_dnn(layers: Any) -> list[Any]:
    return [
        layers.Flatten(),
        layers.Dense(200, activation="relu"),
        layers.Dense(100, activation="relu"),
        layers.Dense(7, activation="softmax"),
    ]


MODELS = {
    model.name: model
    for model in (
        Model("lenet_300_100", "fashion_mnist", (28, 28), 20, _lenet_300_100),
        Model("watch_cnn", "smartwatch", (100, 6), 40, _watch_cnn),
        Model("watch_dnn", "smartwatch", (100, 6), 40, _watch_dnn),
        # Ten times the work of the others: one rate fewer.
        Model("lenet_5", "fashion_mnist", (28, 28, 1), 15, _lenet_5, (1e-3, 2e-3, 3e-3)),
    )
}
"""By name, in the order of the report."""
