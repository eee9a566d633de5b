"""ProximalL1 in real, small fits: its mathematics, its phases, what it leaves behind."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from tflm_sparsesep.converters.errors import ConfigError

keras = pytest.importorskip("keras")

from tflm_sparsesep.callbacks import ProximalL1  # noqa: E402

pytestmark = pytest.mark.xdist_group("tensorflow")

Floats = npt.NDArray[Any]

RNG = np.random.default_rng(0)
X = RNG.normal(size=(64, 12)).astype(np.float32)
# Four of twelve inputs matter.
Y = (X[:, :4] @ RNG.normal(size=(4, 3)) + 0.1 * RNG.normal(size=(64, 3))).astype(np.float32)


class CountingModel(keras.Sequential):
    """A model that counts how often its train step is traced."""

    traces = 0

    def train_step(self, data: Any) -> Any:
        self.traces += 1
        return super().train_step(data)


def linear_model(optimizer: Any, **compile_options: Any) -> Any:
    keras.utils.set_random_seed(1)
    model = CountingModel([keras.Input((12,)), keras.layers.Dense(3, name="dense")])
    model.compile(optimizer, "mse", **compile_options)
    return model


def deep_model(optimizer: Any = "adam", **compile_options: Any) -> Any:
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


def array(variable: Any) -> Floats:
    values: Floats = keras.ops.convert_to_numpy(variable)
    return values


def zeros_of(*layers: Any) -> float:
    kernels = [array(layer.kernel) for layer in layers]
    return float(np.mean(np.concatenate([kernel.ravel() == 0 for kernel in kernels])))


# --- The oracle: textbook optimizers in float64, each returning (step, D) ---------------------


def adam_oracle() -> Callable[[Floats, int, float], tuple[Floats, Floats]]:
    m, v = np.zeros((12, 3)), np.zeros((12, 3))

    def step(gradient: Floats, t: int, rate: float) -> tuple[Floats, Floats]:
        m[:] = 0.9 * m + 0.1 * gradient
        v[:] = 0.999 * v + 0.001 * gradient**2
        diagonal = np.sqrt(v / (1 - 0.999**t)) + 1e-7
        return rate * m / (1 - 0.9**t) / diagonal, diagonal

    return step


def rmsprop_oracle(
    centered: bool = False,
) -> Callable[[Floats, int, float], tuple[Floats, Floats]]:
    v, a = np.zeros((12, 3)), np.zeros((12, 3))

    def step(gradient: Floats, t: int, rate: float) -> tuple[Floats, Floats]:
        v[:] = 0.9 * v + 0.1 * gradient**2
        if centered:
            a[:] = 0.9 * a + 0.1 * gradient
        diagonal = np.sqrt(v - a**2 + 1e-7)
        return rate * gradient / diagonal, diagonal

    return step


def sgd_oracle() -> Callable[[Floats, int, float], tuple[Floats, Floats]]:
    return lambda gradient, t, rate: (rate * gradient, np.ones((12, 3)))


def expected_weights(
    initial: tuple[Floats, Floats],
    oracle: Any,
    bias_oracle: Any,
    rate: Callable[[int], float],
    strength: float,
    *,
    preconditioned: bool,
    warmup: int,
    debias: int,
    epochs: int,
) -> tuple[Floats, Floats]:
    """Kernel and bias after `epochs` full-batch steps of least squares with the proximal step."""
    kernel, bias = initial[0].astype(np.float64), initial[1].astype(np.float64)
    support = np.ones(kernel.shape, bool)
    for epoch in range(epochs):
        error = X @ kernel + bias - Y
        gradient = 2 * X.T.astype(np.float64) @ error / error.size
        bias_gradient = np.broadcast_to(2 * error.sum(axis=0) / error.size, kernel.shape)
        step, diagonal = oracle(gradient, epoch + 1, rate(epoch))
        kernel = kernel - step
        bias = bias - bias_oracle(bias_gradient, epoch + 1, rate(epoch))[0][0]
        if epoch >= epochs - debias:
            kernel = np.where(support, kernel, 0)
        elif epoch >= warmup:
            threshold = rate(epoch) * strength / (diagonal if preconditioned else 1)
            kernel = np.sign(kernel) * np.maximum(np.abs(kernel) - threshold, 0)
            support = kernel != 0
    return kernel, bias


def decay(step: int) -> float:
    return 0.05 * 0.9**step


CASES = {
    "adam": (lambda: keras.optimizers.Adam(0.05), adam_oracle, lambda _: 0.05, 0.1, True),
    "adam_uniform": (lambda: keras.optimizers.Adam(0.05), adam_oracle, lambda _: 0.05, 0.4, False),
    "adam_decay": (
        lambda: keras.optimizers.Adam(keras.optimizers.schedules.ExponentialDecay(0.05, 1, 0.9)),
        adam_oracle,
        decay,
        0.1,
        True,
    ),
    "rmsprop": (lambda: keras.optimizers.RMSprop(0.02), rmsprop_oracle, lambda _: 0.02, 0.1, True),
    "rmsprop_centered": (
        lambda: keras.optimizers.RMSprop(0.02, centered=True),
        lambda: rmsprop_oracle(centered=True),
        lambda _: 0.02,
        0.1,
        True,
    ),
    "sgd_uniform": (lambda: keras.optimizers.SGD(0.1), sgd_oracle, lambda _: 0.1, 0.2, False),
}


@pytest.mark.parametrize("case", CASES)
def test_equals_the_oracle_step_by_step(case: str) -> None:
    make_optimizer, oracle, rate, strength, preconditioned = CASES[case]
    phases = {"warmup": 2, "debias": 4, "epochs": 16}
    model = linear_model(make_optimizer())
    initial = model.get_weights()
    history = fit(
        model,
        ProximalL1(strength, preconditioned=preconditioned, warmup_epochs=2, debias_epochs=4),
        phases["epochs"],
    )
    kernel, bias = expected_weights(
        initial, oracle(), oracle(), rate, strength, preconditioned=preconditioned, **phases
    )
    found_kernel, found_bias = model.get_weights()
    # 16 steps of float32 on weights near 1: each rounds by some 1e-7, Adam's first steps by as
    # much of the rate; 2e-5 leaves an order of magnitude.
    np.testing.assert_allclose(found_kernel, kernel, atol=2e-5)
    np.testing.assert_allclose(found_bias, bias, atol=2e-5)
    np.testing.assert_array_equal(found_kernel == 0, kernel == 0)
    assert 0.05 < zeros_of(model.layers[0]) < 0.95
    zeros = history.history["zeros"]
    assert zeros[:2] == [0, 0]
    assert zeros[-1] == zeros_of(model.layers[0])


@pytest.mark.parametrize(
    "options", [{"steps_per_execution": 4}, {"jit_compile": True}, {"run_eagerly": True}], ids=str
)
@pytest.mark.parametrize("goal", [{"strength": 0.05}, {"zeros": 0.7}], ids=str)
def test_same_result_however_steps_are_executed(
    options: dict[str, Any], goal: dict[str, float]
) -> None:
    reference, model = deep_model(), deep_model(**options)
    # 8 steps an epoch: the projection of every 32nd step falls inside the fit.
    expected = fit(reference, ProximalL1(**goal), 10, steps=8).history["zeros"]
    found = fit(model, ProximalL1(**goal), 10, steps=8).history["zeros"]
    assert found == pytest.approx(expected, abs=0.02)
    for a, b in zip(reference.get_weights(), model.get_weights(), strict=True):
        # XLA fuses and sums in another order: 80 steps of Adam at rate 1e-3 amplify that.
        np.testing.assert_allclose(a, b, atol=1e-3)


def test_is_traced_as_often_as_without() -> None:
    plain, sparse = deep_model(), deep_model()
    fit(plain, None, 10, steps=8)
    fit(sparse, ProximalL1(zeros=0.7), 10, steps=8)
    # Plain fit may trace once more, to make the optimizer's variables.
    assert 1 <= sparse.traces <= plain.traces


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


def test_accumulated_gradients_are_one_step() -> None:
    single = linear_model(keras.optimizers.Adam(0.05))
    callback = ProximalL1(0.1, warmup_epochs=0, debias_epochs=0)
    fit(single, callback, 10)
    double = linear_model(keras.optimizers.Adam(0.05, gradient_accumulation_steps=2))
    # The same full batch twice: its mean gradient is that of one.
    double.fit(
        np.concatenate([X, X]),
        np.concatenate([Y, Y]),
        batch_size=64,
        epochs=10,
        shuffle=False,
        verbose=0,
        callbacks=[callback],
    )
    # (g + g) / 2 is exact; what differs is at most the order of float32 sums.
    np.testing.assert_allclose(single.get_weights()[0], double.get_weights()[0], atol=1e-5)
    assert zeros_of(single.layers[0]) == zeros_of(double.layers[0]) > 0


def test_validation_sees_the_sparse_model() -> None:
    model = deep_model()
    history = fit(model, ProximalL1(zeros=0.9, debias_epochs=0), 3, validation_data=(X, Y))
    assert history.history["val_loss"][-1] == pytest.approx(
        model.evaluate(X, Y, verbose=0), rel=1e-5
    )


def test_model_is_left_as_it_was(tmp_path: Path) -> None:
    plain, model = deep_model(), deep_model()
    optimizer = model.optimizer
    fit(plain, None, 4)
    fit(model, ProximalL1(zeros=0.8), 4)
    assert set(vars(model)) == set(vars(plain))
    assert set(vars(optimizer)) == set(vars(plain.optimizer))
    assert type(model.train_function) is type(plain.train_function)
    assert model.optimizer is optimizer
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(
        tmp_path / "model.keras", custom_objects={"CountingModel": CountingModel}
    )
    for a, b in zip(model.get_weights(), loaded.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert type(loaded.optimizer) is type(optimizer)
    fit(loaded, None, 1)
    # Without the callback weights move again.
    fit(model, None, 1)
    assert zeros_of(model.get_layer("first")) < 0.5


class Boom(Exception):
    """Raised on purpose."""


class RaisesAt(keras.callbacks.Callback):
    def __init__(self, hook: str) -> None:
        super().__init__()
        setattr(self, hook, self._raise)

    def _raise(self, *_: Any, **__: Any) -> None:
        raise Boom


@pytest.mark.parametrize("hook", ["on_train_begin", "on_train_batch_end", "on_epoch_end"])
def test_an_exception_leaves_no_trace(hook: str) -> None:
    model = linear_model("adam")
    callback = ProximalL1(1e6, warmup_epochs=0)  # any step with it would leave zeros only
    with pytest.raises(Boom):
        model.fit(X, Y, epochs=3, verbose=0, callbacks=[callback, RaisesAt(hook)])
    model.layers[0].kernel.assign(np.ones((12, 3)))
    history = fit(model, None, 2).history
    assert "zeros" not in history
    assert zeros_of(model.layers[0]) == 0


def test_a_failing_step_leaves_no_trace() -> None:
    model = linear_model("adam")

    def batches() -> Any:
        yield X[:8], Y[:8]
        raise Boom

    with pytest.raises(Boom):
        model.fit(batches(), steps_per_epoch=4, epochs=3, verbose=0, callbacks=[ProximalL1(1e6)])
    model.layers[0].kernel.assign(np.ones((12, 3)))
    model.train_on_batch(X, Y)
    assert zeros_of(model.layers[0]) == 0


def test_early_stopping_leaves_a_sparse_model() -> None:
    model = deep_model()
    stop = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, _: setattr(model, "stop_training", epoch == 3)
    )
    history = model.fit(X, Y, epochs=10, verbose=0, callbacks=[ProximalL1(zeros=0.9), stop])
    assert len(history.epoch) == 4
    found = zeros_of(*(layer for layer in model.layers if hasattr(layer, "kernel")))
    # Epochs 1 to 6 of 10 make sparse; after three of six the cubic ramp is at 7/8 of 0.9.
    assert found == pytest.approx(0.9 * 7 / 8, abs=0.01)
    fit(model, None, 1)
    assert zeros_of(model.get_layer("first")) < 0.5


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
        ({}, {"conv2d", "conv1d", "wide", "shared", "nested", "inner"}),
        ({"layers": ["conv2d", "nested"]}, {"conv2d", "nested", "inner"}),
        ({"exclude": ["nested", "conv1d"]}, {"conv2d", "wide", "shared"}),
    ],
    ids=str,
)
def test_choice_of_layers(options: dict[str, Any], expected: set[str]) -> None:
    # A strength under which no kernel survives one step. The nested model's weights are its own
    # and those of its layer.
    assert kernels_with_zeros(ProximalL1(1e6, **options)) == expected


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "exactly one"),
        ({"strength": 0.1, "zeros": 0.9}, "exactly one"),
        ({"strength": -0.1}, "strength=-0.1"),
        ({"strength": math.nan}, "strength=nan"),
        ({"strength": "much"}, "strength='much'"),
        ({"zeros": 0}, "zeros=0"),
        ({"zeros": 1.0}, "zeros=1.0"),
        ({"zeros": 90}, "zeros=90"),
        ({"zeros": True}, "zeros=True"),
        ({"zeros": 0.9, "debias_epochs": -1}, "debias_epochs=-1"),
        ({"zeros": 0.9, "warmup_epochs": 1.5}, "warmup_epochs=1.5"),
        ({"zeros": 0.9, "layers": "first"}, "layers='first'"),
        ({"zeros": 0.9, "exclude": [3]}, r"exclude=\[3\]"),
    ],
    ids=str,
)
def test_refused_when_made(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message) as error:
        ProximalL1(**arguments)
    assert "accepted" in str(error.value)
    assert "\n" not in str(error.value)


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
    fit(model, None, 1)


def test_averages_without_debias_are_refused() -> None:
    model = deep_model(keras.optimizers.Adam(use_ema=True))
    with pytest.raises(ConfigError, match="use_ema=True"):
        fit(model, ProximalL1(zeros=0.5, debias_epochs=0), 4)


def test_model_that_is_not_compiled() -> None:
    model = keras.Sequential([keras.Input((12,)), keras.layers.Dense(3)])
    callback = ProximalL1(zeros=0.5)
    callback.set_model(model)
    with pytest.raises(ConfigError, match="not compiled"):
        callback.on_train_begin()
