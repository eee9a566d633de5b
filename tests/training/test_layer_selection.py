"""Layers and their own goals, by name and by regular expression, in real fits."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

from tests.support.models.keras_models import array, deep_model, fit, zeros_of
from tflm_sparsesep.converters.errors import ConfigError
from tflm_sparsesep.training.proximal_l1 import ProximalL1

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("tensorflow")]


def zeros_by_layer(model: Any) -> dict[str, float]:
    return {layer.name: zeros_of(layer) for layer in model.layers if hasattr(layer, "kernel")}


@pytest.mark.parametrize(
    ("layers", "expected"),
    [
        ({"first": 0.5, "second": 0.75, "last": None}, {"first": 0.5, "second": 0.75, "last": 0}),
        # "first" is a name of its own; an expression counts where no name does, first match first.
        (
            {".*": 0.25, "first": 0.5, "se.*": 0.75},
            {"first": 0.5, "second": 0.25, "last": 0.25},
        ),
        (["first|last"], {"second": 0}),
        ({"f.*": False}, {"first": 0}),
    ],
    ids=str,
)
def test_goals_of_single_layers(layers: Any, expected: dict[str, float]) -> None:
    model = deep_model()
    history = fit(model, ProximalL1(zeros=0.9, layers=layers), 6, steps=8).history
    found = zeros_by_layer(model)
    for name, goal in expected.items():
        # Whole weights: at most one of the 24 of the smallest layer too many.
        assert goal <= found[name] <= goal + 1 / 24
        if goal:
            assert history[f"zeros/{name}"][-1] == found[name]
        else:
            assert f"zeros/{name}" not in history


def test_other_layers_share_the_common_goal() -> None:
    model = deep_model()
    fit(model, ProximalL1(zeros=0.9, layers={"first": 0.5}), 6, steps=8)
    assert zeros_of(model.get_layer("first")) == 0.5
    others = zeros_of(model.get_layer("second"), model.get_layer("last"))
    assert 0.9 <= others < 0.9 + 1.01 / 152


def test_strengths_of_single_layers() -> None:
    model = deep_model()
    fit(model, ProximalL1(0.0, layers={"second": 1e6}), 4)
    assert zeros_by_layer(model) == {"first": 0, "second": 1, "last": 0}


def depthwise_model() -> Any:
    keras.utils.set_random_seed(0)
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((6, 6, 4)),
            layers.DepthwiseConv2D(3, name="depthwise"),
            layers.Flatten(),
            layers.Dense(3, name="dense"),
        ]
    )
    model.compile("adam", "mse")
    return model


@pytest.mark.parametrize("named", [True, False])
def test_depthwise_convolutions_only_by_name(named: bool) -> None:
    model = depthwise_model()
    rng = np.random.default_rng(0)
    layers = {"depthwise": 0.5} if named else None
    model.fit(
        rng.normal(size=(32, 6, 6, 4)),
        rng.normal(size=(32, 3)),
        epochs=4,
        verbose=0,
        callbacks=[ProximalL1(zeros=0.75, layers=layers, pattern="1x4")],
    )
    kernels = {layer.name: array(layer.kernel) for layer in model.layers if layer.weights}
    assert np.count_nonzero(kernels["depthwise"] == 0) == (18 if named else 0)
    assert np.mean(kernels["dense"] == 0) == 0.75


def test_layers_of_the_same_name_are_told_apart() -> None:
    keras.utils.set_random_seed(0)
    parts = [
        keras.Sequential([keras.Input((12,)), keras.layers.Dense(12, name="dense")], name=name)
        for name in ("one", "two")
    ]
    model = keras.Sequential([keras.Input((12,)), *parts, keras.layers.Dense(3, name="last")])
    model.compile("adam", "mse")
    logs = fit(model, ProximalL1(zeros=0.5), 3).history
    names = sorted(name for name in logs if name.startswith("zeros/"))
    assert names == ["zeros/last", "zeros/one/dense", "zeros/two/dense"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"layers": {"first": 1.5}}, "first.*1.5"),
        ({"layers": {"first": "much"}}, "first.*much"),
        ({"layers": {3: 0.5}}, "layers="),
        ({"strength": 0.1, "zeros": None, "layers": {"first": -1}}, "first.*-1"),
    ],
    ids=str,
)
def test_wrong_goals_are_refused_when_made(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message) as error:
        ProximalL1(**({"zeros": 0.9} | arguments))
    assert "accepted" in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", ["frist", "fir", "(first", "norm"])
def test_names_that_match_nothing_are_refused(name: str) -> None:
    with pytest.raises(ConfigError, match=r"accepted: trainable .*first, last, second"):
        fit(deep_model(), ProximalL1(zeros=0.5, layers={name: 0.5}), 4)
