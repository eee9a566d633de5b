"""The layers of a model that a fit finds and selects."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

from tests.support.models.keras_models import array, deep_model
from tflm_sparsesep.converters.errors import ConfigError
from tflm_sparsesep.training.device_layer import DeviceLayer
from tflm_sparsesep.training.keep_zeros import KeepZeros
from tflm_sparsesep.training.layer_selection import Selection
from tflm_sparsesep.training.proximal_l1 import ProximalL1
from tflm_sparsesep.training.trained_layer import TrainedLayer, layers_of, select_layers

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("tensorflow")]


def selection(layers: Any = None, exclude: Any = ()) -> Selection:
    return Selection.of(layers, exclude, lambda _: True, "")


def mixed_model() -> Any:
    """Four kinds of layers, one frozen, one nested under the name of another, one used twice."""
    layers = keras.layers
    shared = layers.Dense(6, name="shared")
    inner = keras.Sequential([keras.Input((6,)), layers.Dense(5, name="wide")], name="inner")
    image = keras.Input((6, 6, 1))
    x = layers.Conv2D(4, 3, name="conv2d")(image)
    x = layers.BatchNormalization()(x)
    x = layers.DepthwiseConv2D(2, depth_multiplier=2, name="depthwise")(x)
    x = layers.Reshape((9, 8))(x)
    x = layers.Conv1D(4, 3, name="frozen", trainable=False)(x)
    x = layers.Dense(6, name="wide")(layers.Flatten()(x))
    return keras.Model(image, inner(shared(shared(x))))


def by_name(layers: list[TrainedLayer]) -> dict[str, TrainedLayer]:
    return {layer.name: layer for layer in layers}


def test_every_kernel_once_under_a_name_of_its_own() -> None:
    found = layers_of(mixed_model())
    names = by_name(found)
    expected = ["conv2d", "depthwise", "frozen", "wide", "shared", "inner/wide"]
    assert [layer.name for layer in found] == expected
    assert [name for name, x in names.items() if not x.trainable] == ["frozen"]
    assert [name for name, x in names.items() if x.output_axes == 2] == ["depthwise"]
    assert not any(x.selected for x in found)


def test_kernels_that_are_computed_anew_are_found_and_not_trained() -> None:
    layers = [keras.layers.Dense(12, name=name) for name in "abc"]
    model = keras.Sequential([keras.Input((12,)), *layers])
    for layer in layers[:2]:
        layer.enable_lora(2)
    found = layers_of(model)
    assert [(x.name, x.trainable) for x in found] == [("a", False), ("b", False), ("c", True)]
    assert [x.name for x in select_layers(model, selection()) if x.selected] == ["c"]
    np.testing.assert_array_equal(found[0].weights(), array(layers[0].kernel))


def test_what_is_no_model_is_refused() -> None:
    class Old:
        layers = ()

    Old.__module__ = "tf_keras.src.models.sequential"
    for given, reason in (
        ("model.keras", "type str; accepted: a Keras model; keras.models.load_model reads"),
        (None, "type NoneType; accepted: a Keras model"),
        (Old(), "type Old of tf_keras, which is Keras 2; accepted: a model of Keras 3"),
    ):
        with pytest.raises(ConfigError, match=reason):
            layers_of(given)
        for callback in (ProximalL1(strength=1.0), KeepZeros()):
            with pytest.raises(ConfigError, match=reason):
                callback.set_model(given)


def test_weights_are_a_copy_of_the_kernel() -> None:
    first = by_name(layers_of(deep_model()))["first"]
    weights = first.weights()
    assert first.size == weights.size == 12 * 16
    np.testing.assert_array_equal(weights, array(first.kernel))
    first.kernel.assign(np.zeros((12, 16)))
    assert np.count_nonzero(weights) > 0


def test_selected_layers_have_their_goal_and_pattern() -> None:
    asked = []

    def pattern_of(layer: DeviceLayer, goal: float | None) -> str:
        asked.append((layer.shape.cols, layer.shape.rows, goal))
        return "4x1"

    chosen = selection({"first": 0.5, "last": None})
    layers = by_name(select_layers(deep_model(), chosen, pattern_of))
    assert {name: (x.selected, x.goal) for name, x in layers.items()} == {
        "first": (True, 0.5),
        "second": (True, None),
        "last": (False, None),
    }
    assert [x.blocks.pattern for x in layers.values()] == ["4x1", "4x1", "1x1"]
    assert asked == [(12, 16, 0.5), (16, 8, None)]


def test_depthwise_and_frozen_layers() -> None:
    model = mixed_model()
    everything = by_name(select_layers(model, selection(), lambda *_: "4x1"))
    selected = {name for name, x in everything.items() if x.selected}
    assert {"depthwise", "frozen"}.isdisjoint(selected)
    assert len(selected) == 4
    assert {name for name, x in everything.items() if x.packable} == selected
    named = by_name(select_layers(model, selection(["depthwise"]), lambda *_: "4x1"))
    assert [name for name, x in named.items() if x.selected] == ["depthwise"]
    assert named["depthwise"].blocks.pattern == "1x1"


@pytest.mark.parametrize(
    ("layers", "exclude", "message"),
    [
        (["frozen"], [], "'frozen' names no fitting layer"),
        (None, [".*"], "no layer to make sparse"),
    ],
)
def test_a_selection_of_nothing_is_refused(layers: Any, exclude: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as error:
        select_layers(mixed_model(), selection(layers, exclude))
    assert "accepted" in str(error.value)
