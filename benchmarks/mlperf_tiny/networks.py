"""The networks that are trained, built alike by Keras 3 and by tf-keras."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cifar10
import spoken_digits
from samples import Augment, Data

_RESNET8 = Path(__file__).parents[3] / "shared/models/pretrainedResnet.h5"


@dataclass(frozen=True)
class Network:
    """A network and how every method trains it: Adam with cosine decay.

    load: given the folder of work and the seed, the samples.
    build: given the Keras module, the network that training begins with.
    augment: changes a batch at random.
    """

    load: Callable[[Path, int], Data]
    build: Callable[[Any], Any]
    augment: Augment
    learning_rate: float = 1e-3
    batch_size: int = 64


def _resnet8(keras: Any) -> Any:
    """Return MLPerf Tiny's float network with its published weights."""
    return keras.models.load_model(_RESNET8, compile=False)


def _ds_cnn(keras: Any) -> Any:
    """Return MLPerf Tiny's DS-CNN (`kws01`) with fresh weights, for ten digits."""
    layers = keras.layers

    def normalized(x: Any) -> Any:
        return layers.Activation("relu")(layers.BatchNormalization()(x))

    inputs = keras.Input((spoken_digits.FRAMES, spoken_digits.COEFFICIENTS, 1))
    x = normalized(layers.Conv2D(64, (10, 4), strides=2, padding="same")(inputs))
    x = layers.Dropout(0.2)(x)
    for _ in range(4):
        x = normalized(layers.DepthwiseConv2D(3, padding="same")(x))
        x = normalized(layers.Conv2D(64, 1, padding="same")(x))
    x = layers.Dropout(0.4)(x)
    x = layers.Flatten()(layers.AveragePooling2D((25, 5))(x))
    return keras.Model(inputs, layers.Dense(10, activation="softmax")(x), name="ds_cnn")


NETWORKS = {
    "resnet8": Network(lambda work, seed: cifar10.load(work), _resnet8, cifar10.augmented),
    "ds_cnn": Network(spoken_digits.load, _ds_cnn, spoken_digits.augmented, 3e-3, 32),
}
