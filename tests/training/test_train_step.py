"""The proximal step in real, small fits, against textbook optimizers in NumPy."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import pytest

from tests.support.models.keras_models import X, Y, deep_model, fit, linear_model, zeros_of
from tflm_sparsesep.training.proximal_l1 import ProximalL1

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("tensorflow")]

Floats = npt.NDArray[Any]
Oracle = Callable[[Floats, int, float], tuple[Floats, Floats]]


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


CASES: dict[str, tuple[Any, Any, Callable[[int], float], float, bool]] = {
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
    # 1 - 0.999^t has lost 10 of float32's 24 bits at t = 1: a step of Adam is off by up to 1e-4 of
    # its length, which is near the rate of 0.05; over 16 steps that makes 8e-5.
    np.testing.assert_allclose(found_kernel, kernel, atol=1e-4)
    np.testing.assert_allclose(found_bias, bias, atol=1e-4)
    np.testing.assert_array_equal(found_kernel == 0, kernel == 0)
    assert 0.05 < zeros_of(model.layers[0]) < 0.95
    zeros = history.history["zeros"]
    assert zeros[:2] == [0, 0]
    assert zeros[-1] == zeros_of(model.layers[0])


@functools.cache
def trained_plainly(goal: str, value: float) -> tuple[list[float], list[Any], float]:
    """Fractions of zeros, weights and loss of a fit with one step at a time."""
    model = deep_model()
    arguments: dict[str, Any] = {goal: value}
    zeros = fit(model, ProximalL1(**arguments), 5, steps=8).history["zeros"]
    return zeros, model.get_weights(), model.evaluate(X, Y, verbose=0)


@pytest.mark.parametrize(
    "options", [{"steps_per_execution": 4}, {"jit_compile": True}, {"run_eagerly": True}], ids=str
)
@pytest.mark.parametrize(("goal", "value"), [("strength", 0.05), ("zeros", 0.7)])
def test_same_result_however_steps_are_executed(
    options: dict[str, Any], goal: str, value: float
) -> None:
    expected, weights, loss = trained_plainly(goal, value)
    model = deep_model(**options)
    # 8 steps an epoch: the projection of every 32nd step falls inside the fit.
    arguments: dict[str, Any] = {goal: value}
    found = fit(model, ProximalL1(**arguments), 5, steps=8).history["zeros"]
    # XLA and eager execution fuse and sum in another order. Adam's first steps amplify that where
    # a gradient is close to 0, so that few weights near the threshold may end on its other side.
    assert found == pytest.approx(expected, abs=0.02)
    assert model.evaluate(X, Y, verbose=0) == pytest.approx(loss, rel=0.01)
    if "steps_per_execution" in options:  # the same operations in the same order
        for a, b in zip(weights, model.get_weights(), strict=True):
            np.testing.assert_allclose(a, b, atol=1e-6)


def test_is_traced_as_often_as_without() -> None:
    plain, sparse = deep_model(), deep_model()
    fit(plain, None, 10, steps=8)
    fit(sparse, ProximalL1(zeros=0.7), 10, steps=8)
    # Plain fit may trace once more, to make the optimizer's variables.
    assert 1 <= sparse.traces <= plain.traces


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
