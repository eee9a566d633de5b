"""ProximalL1 in real, small fits: its phases, its goal, and the models that it refuses."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest

from tests.support.models.keras_models import X, Y, array, deep_model, fit, zeros_of
from tflm_sparsesep.converters.errors import ConfigError
from tflm_sparsesep.training.proximal_l1 import ProximalL1

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("tensorflow")]


@pytest.mark.parametrize(
    "callback",
    [
        pytest.param(lambda: ProximalL1(zeros=0.9, warmup_epochs=1, debias_epochs=4), id="zeros"),
        pytest.param(lambda: ProximalL1(0.1, warmup_epochs=1, debias_epochs=4), id="strength"),
    ],
)
def test_phases(callback: Callable[[], Any]) -> None:
    model = deep_model("rmsprop")
    dense = [layer for layer in model.layers if hasattr(layer, "kernel")]
    supports: list[list[Any]] = []
    watch = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: supports.append(
            [array(d.kernel) != 0 for d in dense]
        )
    )
    history = model.fit(
        X,
        Y,
        batch_size=8,
        epochs=10,
        verbose=0,
        validation_data=(X, Y),
        callbacks=[callback(), watch],
    ).history
    zeros = history["zeros"]
    assert zeros[0] == 0
    assert zeros[1] > 0
    assert len(set(zeros[6:])) == 1
    assert zeros[-1] == zeros_of(*dense) >= zeros[1]
    # The support after every single step of the debias phase is the one at its end.
    assert len(supports) == 80
    for step in supports[6 * 8 :]:
        for early, last in zip(step, supports[-1], strict=True):
            np.testing.assert_array_equal(early, last)
    for layer in dense:
        kernel = array(layer.kernel)
        assert not np.signbit(kernel[kernel == 0]).any()
        assert np.count_nonzero(array(layer.bias)) == layer.bias.shape[0]
    assert np.all(array(model.get_layer("norm").gamma) != 0)


@pytest.mark.parametrize("debias_epochs", [0, 3])
@pytest.mark.parametrize("goal", [0.5, 0.9, 0.985])
def test_lands_on_the_goal(goal: float, debias_epochs: int) -> None:
    model = deep_model()
    history = fit(model, ProximalL1(zeros=goal, debias_epochs=debias_epochs), 8, steps=4)
    size = 12 * 16 + 16 * 8 + 8 * 3
    found = zeros_of(*(layer for layer in model.layers if hasattr(layer, "kernel")))
    assert goal <= found < goal + 1.01 / size
    assert history.history["zeros"][-1] == found
    assert np.all(np.diff(history.history["zeros"]) >= 0)


def test_validation_sees_the_sparse_model() -> None:
    model = deep_model()
    history = fit(model, ProximalL1(zeros=0.9, debias_epochs=0), 3, validation_data=(X, Y))
    assert history.history["val_loss"][-1] == pytest.approx(
        model.evaluate(X, Y, verbose=0), rel=1e-5
    )


def test_early_stopping_leaves_a_sparse_model() -> None:
    model = deep_model()
    stop = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, _: setattr(model, "stop_training", epoch == 3)
    )
    with pytest.warns(UserWarning, match=r"after epoch 4 of 10, .* start_from_epoch=7, and"):
        history = model.fit(X, Y, epochs=10, verbose=0, callbacks=[ProximalL1(zeros=0.9), stop])
    assert len(history.epoch) == 4
    found = zeros_of(*(layer for layer in model.layers if hasattr(layer, "kernel")))
    # Epochs 1 to 6 of 10 make sparse; after three of six the cubic ramp is at 7/8 of 0.9.
    assert found == pytest.approx(0.9 * 7 / 8, abs=0.01)
    fit(model, None, 1)
    assert zeros_of(model.get_layer("first")) < 0.5


@pytest.mark.parametrize("last", [7, 9])
def test_an_end_in_the_debias_phase_is_no_early_one(last: int) -> None:
    model = deep_model()
    stop = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, _: setattr(model, "stop_training", epoch == last)
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        model.fit(X, Y, epochs=10, verbose=0, callbacks=[ProximalL1(zeros=0.9), stop])
    assert zeros_of(*(layer for layer in model.layers if hasattr(layer, "kernel"))) >= 0.9


def test_a_resumed_fit_goes_on_with_its_phase() -> None:
    model = deep_model()
    callback = ProximalL1(zeros=0.8, warmup_epochs=1, debias_epochs=4)
    fit(model, callback, 10)
    support = array(model.get_layer("first").kernel) != 0
    history = fit(model, callback, 10, initial_epoch=8)
    assert history.epoch == [8, 9]
    np.testing.assert_array_equal(array(model.get_layer("first").kernel) != 0, support)


def test_averaged_weights_stay_sparse() -> None:
    model = deep_model(keras.optimizers.Adam(use_ema=True, ema_momentum=0.5))
    fit(model, ProximalL1(zeros=0.8), 10)
    found = zeros_of(*(layer for layer in model.layers if hasattr(layer, "kernel")))
    assert found >= 0.8


def convolutional_model() -> Any:
    """Every kind of kernel, a nested model, and a layer used twice."""
    layers = keras.layers
    keras.utils.set_random_seed(1)
    shared = layers.Dense(6, name="shared")
    inner = keras.Sequential([keras.Input((6,)), layers.Dense(5, name="nested")], name="inner")
    image = keras.Input((6, 6, 1))
    x = layers.Conv2D(4, 3, name="conv2d")(image)
    x = layers.DepthwiseConv2D(2, name="depthwise")(x)
    x = layers.Reshape((9, 4))(x)
    x = layers.Conv1D(4, 3, name="conv1d")(x)
    x = layers.Dense(6, name="wide")(layers.Flatten()(x))
    model = keras.Model(image, inner(shared(shared(x))))
    model.compile("adam", "mse")
    return model


def kernels_with_zeros(callback: Any) -> set[str]:
    model = convolutional_model()
    rng = np.random.default_rng(0)
    model.fit(
        rng.normal(size=(16, 6, 6, 1)),
        rng.normal(size=(16, 5)),
        epochs=2,
        verbose=0,
        callbacks=[callback],
    )
    inner = model.get_layer("inner").layers
    return {
        layer.name
        for layer in [*model.layers, *inner]
        for weight in layer.weights
        if weight.name == "kernel" and np.count_nonzero(array(weight)) == 0
    }


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, ["conv1d", "conv2d", "inner", "nested", "shared", "wide"]),
        ({"layers": ["conv2d", "nested"]}, ["conv2d", "inner", "nested"]),
        ({"exclude": ["nested", "conv1d"]}, ["conv2d", "shared", "wide"]),
    ],
    ids=str,
)
def test_choice_of_layers(options: dict[str, Any], expected: list[str]) -> None:
    # A strength under which no kernel survives one step. The nested model's weights are its own
    # and those of its layer.
    assert sorted(kernels_with_zeros(ProximalL1(1e6, **options))) == expected


@pytest.mark.parametrize(
    ("arguments", "optimizer", "message"),
    [
        ({"layers": ["frist"]}, "adam", "frist.*first, last, second"),
        ({"layers": ["norm"]}, "adam", "norm"),
        ({"exclude": ["absent"]}, "adam", "absent"),
        ({"exclude": ["first", "second", "last"]}, "adam", "no layer to make sparse"),
        ({}, "sgd", "SGD.*preconditioned=False"),
        ({}, "adagrad", "Adagrad.*preconditioned=False"),
        ({"warmup_epochs": 2, "debias_epochs": 2}, "adam", "warmup_epochs=2 and debias_epochs=2"),
    ],
    ids=str,
)
def test_refused_before_the_first_step(
    arguments: dict[str, Any], optimizer: str, message: str
) -> None:
    model = deep_model(optimizer)
    weights = model.get_weights()
    with pytest.raises(ConfigError, match=message) as error:
        fit(model, ProximalL1(zeros=0.5, **arguments), 4)
    assert "\n" not in str(error.value)
    for a, b in zip(weights, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_refused_fit_leaves_a_model_that_trains() -> None:
    model = deep_model()
    with pytest.raises(ConfigError, match="frist"):
        fit(model, ProximalL1(zeros=0.5, layers=["frist"]), 4)
    before = model.get_weights()
    fit(model, None, 1)
    assert not np.array_equal(model.get_weights()[0], before[0])


def test_averages_without_debias_are_refused() -> None:
    model = deep_model(keras.optimizers.Adam(use_ema=True))
    with pytest.raises(ConfigError, match="use_ema=True"):
        fit(model, ProximalL1(zeros=0.5, debias_epochs=0), 4)
