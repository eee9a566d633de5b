"""The trained networks of the benchmark, in float64."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tflm_sparsesep.converters.factorize import chain, gram
from tflm_sparsesep.converters.factorize.chain import RealLayer
from tflm_sparsesep.converters.factorize.gram import Gram, Matrix
from tflm_sparsesep.datasets import Dataset

CACHE = Path("build/factorize")
MANY = 10_000  # unlabelled samples
LENET_5_EPOCHS = 4


def weights_of(name: str, data: Dataset) -> list[Matrix]:
    """Weights of a trained network in Keras' order, trained once."""
    path = CACHE / f"{name}.npz"
    if not path.exists():
        from tflm_sparsesep import demo

        model, epochs = (
            (demo._lenet_300_100(data), demo.EPOCHS)
            if name == "lenet_300_100"
            else (_lenet_5(), LENET_5_EPOCHS)
        )
        x = data.x_train.reshape(-1, *model.input_shape[1:])
        model.fit(x, data.y_train, batch_size=128, epochs=epochs, verbose=2)
        CACHE.mkdir(parents=True, exist_ok=True)
        np.savez(path, *model.get_weights())
    stored = np.load(path)
    return [np.asarray(stored[key], np.float64) for key in stored.files]


def _lenet_5() -> Any:
    import keras

    keras.utils.set_random_seed(0)
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            layers.Conv2D(20, 5, activation="relu"),
            layers.MaxPooling2D(),
            layers.Conv2D(50, 5, activation="relu"),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dense(500, activation="relu"),
            layers.Dense(10, activation="softmax"),
        ]
    )
    rate = keras.optimizers.schedules.CosineDecay(2e-3, LENET_5_EPOCHS * 469)
    model.compile(keras.optimizers.Adam(rate), "sparse_categorical_crossentropy")
    return model


def chain_of(weights: Sequence[Matrix]) -> list[RealLayer]:
    """Keras' kernels and biases as layers, ReLU after all but the last."""
    pairs = list(zip(weights[::2], weights[1::2], strict=True))
    layers = [RealLayer(w.T, b, 0.0) for w, b in pairs]
    return [*layers[:-1], RealLayer(pairs[-1][0].T, pairs[-1][1])]


def accuracy(layers: Sequence[RealLayer], x: Matrix, labels: npt.NDArray[Any]) -> float:
    """Per cent."""
    scores = chain.forward(layers, x).outputs[-1]
    return round(100 * float(np.mean(scores.argmax(axis=1) == labels)), 2)


class Lenet300:
    """LeNet-300-100 on Fashion-MNIST."""

    def __init__(self, data: Dataset) -> None:
        self.layers = chain_of(weights_of("lenet_300_100", data))
        self.x = np.asarray(data.x_train.reshape(len(data.x_train), -1), np.float64)[:MANY]
        self.x_test = np.asarray(data.x_test.reshape(len(data.x_test), -1), np.float64)
        self.labels = data.y_test

    def accuracy(self, layers: Sequence[RealLayer]) -> float:
        return accuracy(layers, self.x_test, self.labels)

    def with_first(self, weights: Matrix, moments: Gram) -> float:
        """Accuracy with other weights in the first layer and its bias adapted."""
        first = self.layers[0]
        bias = first.bias + moments.bias_shift(first.weights, weights)
        return self.accuracy([RealLayer(weights, bias, 0.0), *self.layers[1:]])


class Lenet5:
    """LeNet-5 on Fashion-MNIST: two 5x5 VALID convolutions, each with pooling, and two FC."""

    def __init__(self, data: Dataset) -> None:
        weights = weights_of("lenet_5", data)
        self.kernels = [w.transpose(3, 0, 1, 2) for w in weights[:4:2]]
        self.biases = weights[1:4:2]
        self.tail = chain_of(weights[4:])
        self.x = np.asarray(data.x_train[:MANY, ..., None], np.float64)
        self.x_test = np.asarray(data.x_test[..., None], np.float64)
        self.labels = data.y_test

    def features(self, kernel: Matrix, bias: Matrix, x: Matrix) -> Matrix:
        """What enters the first FC layer, with another second convolution."""
        return _pooled(self.hidden(x), kernel, bias).reshape(len(x), -1)

    def hidden(self, x: Matrix) -> Matrix:
        """What enters the second convolution."""
        return _pooled(x, self.kernels[0], self.biases[0])


def _pooled(x: Matrix, kernel: Matrix, bias: Matrix) -> Matrix:
    """Convolution, ReLU and 2x2 max pooling, in parts that fit into memory."""
    parts = []
    for part in np.array_split(x, math.ceil(len(x) / 500)):
        y = gram.patches(part, (5, 5)) @ kernel.reshape(len(kernel), -1).T + bias
        n, height, width, channels = y.shape
        y = y.reshape(n, height // 2, 2, width // 2, 2, channels).max(axis=(2, 4))
        parts.append(np.maximum(y, 0.0))
    return np.concatenate(parts)
