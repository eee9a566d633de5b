"""Channels that the estimates count out, against what the converter removes."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

import tflm_sparsesep as ts
from tests.support.models.keras_models import array
from tflm_sparsesep.training.packed_estimate import model_cost
from tflm_sparsesep.training.removed_channels import readers, without_removed
from tflm_sparsesep.training.trained_layer import layers_of

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("tensorflow")]

layers = keras.layers
RNG = np.random.default_rng(0)


def thin(model: Any, name: str, *, outputs: slice = slice(0), inputs: slice = slice(0)) -> None:
    """Leave a tenth of the weights of a layer, none of some outputs and inputs."""
    kernel = array(model.get_layer(name).kernel) * (
        RNG.random(model.get_layer(name).kernel.shape) < 0.1
    )
    kernel[..., outputs] = 0
    kernel[..., inputs, :] = 0
    model.get_layer(name).kernel.assign(kernel)


def perceptron() -> Any:
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((64,)),
            layers.Dense(96, name="first", bias_initializer="ones"),
            layers.BatchNormalization(),
            layers.ReLU(),
            layers.Dense(48, "relu", name="second", bias_initializer="ones"),
            layers.Dense(4, name="last", bias_initializer="ones"),
        ]
    )
    thin(model, "first", outputs=slice(20))
    thin(model, "second", outputs=slice(8), inputs=slice(15, 40))
    return model


def image_net() -> Any:
    """The output of `split` has two readers; all but `end` and `split` pad."""
    keras.utils.set_random_seed(0)
    image = keras.Input((8, 8, 8))
    x = layers.Conv2D(32, 3, name="split", bias_initializer="ones")(image)
    y = layers.Conv2D(32, 3, padding="same", activation="relu", name="padded")(x)
    y = layers.Conv2D(32, 3, name="inner", padding="same", activation="relu")(y)
    y = layers.Conv2D(16, 3, name="end")(y)
    model = keras.Model(image, layers.Add()([y, layers.Cropping2D(1)(x[..., :16])]))
    for name in ("split", "padded", "inner", "end"):
        thin(model, name, outputs=slice(8), inputs=slice(2) if name == "end" else slice(0))
    return model


def test_readers_are_layers_that_alone_read_another() -> None:
    def names(model: Any) -> dict[str, str]:
        return {x.name: y.name for x, y in readers(model, layers_of(model)).items()}

    assert names(perceptron()) == {"first": "second", "second": "last"}
    assert names(image_net()) == {"padded": "inner", "inner": "end"}


def test_what_is_left_has_the_shapes_of_the_converted_model() -> None:
    model = perceptron()
    found = layers_of(model)
    kernels = {x: x.weights() for x in found}
    left = without_removed(kernels, readers(model, found))
    x = RNG.normal(size=(30, 64)).astype(np.float32)
    decided = ts.convert(model, representative_dataset=x, target="cortex-m4").layers
    assert [(x.device.shape.rows, x.device.shape.cols) for x, _ in left.values()] == [
        (layer.rows, layer.cols) for layer in decided
    ]
    cost = model_cost(found, kernels, "cortex-m4", readers=readers(model, found))
    stored = sum((x.packed_bytes if x.rewritten else x.dense_bytes) or 0 for x in decided)
    assert cost.bytes == pytest.approx(stored, rel=0.02)
    assert cost.bytes < 0.9 * model_cost(found, kernels, "cortex-m4").bytes


def test_channels_without_weights_stay_where_the_reader_pads() -> None:
    model = image_net()
    found = layers_of(model)
    left = without_removed({x: x.weights() for x in found}, readers(model, found))
    channels = {
        x.name: (device.device.channels, device.device.shape.rows)
        for x, (device, _) in left.items()
    }
    # `end` does not read two channels of `inner` and pads nothing: eight more have no weights.
    assert channels == {"split": (8, 32), "padded": (32, 32), "inner": (32, 24), "end": (24, 16)}
