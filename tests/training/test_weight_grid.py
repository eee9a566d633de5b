"""Fits whose last epochs use the weights that the converted model will have."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import pytest

from tests.support.models.keras_models import (
    Interrupt,
    InterruptAt,
    X,
    Y,
    array,
    deep_model,
    fit,
    linear_model,
)
from tflm_sparsesep.converters.errors import ConfigError
from tflm_sparsesep.training.palette import fit_palette, nearest_in
from tflm_sparsesep.training.proximal_l1 import ProximalL1

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("tensorflow")]

VALUES = ["int8", "palette"]
# Three epochs of ten with rounded weights.
PHASES: dict[str, Any] = {"warmup_epochs": 1, "debias_epochs": 5, "value_epochs": 3}

# A weight is a float32 product of a whole number up to 127 and a scale that is itself a rounded
# quotient: divided by the scale once more, four roundings of 2^-24 each away from the number.
NEAR = 4 * 127 * 2.0**-24


def steps_of(kernel: npt.NDArray[Any], output_axes: int = 1) -> npt.NDArray[np.float32]:
    """Weights in steps of their outputs' scales, as the converter finds these."""
    axes = tuple(range(kernel.ndim - output_axes))
    scale = np.abs(kernel).max(axis=axes, keepdims=True) / np.float32(127)
    return np.asarray(kernel / np.where(scale > 0, scale, 1), np.float32)


def assert_on_grid(model: Any, values: str, layers: tuple[str, ...] = ()) -> None:
    for layer in model.layers:
        if not hasattr(layer, "kernel") or (layers and layer.name not in layers):
            continue
        steps = steps_of(array(layer.kernel))
        integers = np.rint(steps)
        assert np.abs(steps - integers).max() <= NEAR, layer.name
        if values == "palette":
            assert len(np.unique(integers[integers != 0])) <= 16, layer.name


@pytest.mark.parametrize(
    ("values", "options"),
    [
        ("int8", {}),
        ("palette", {}),
        ("palette", {"jit_compile": True}),
        ("palette", {"steps_per_execution": 4}),
    ],
    ids=str,
)
def test_weights_are_on_the_grid_whenever_they_are_seen(
    values: str, options: dict[str, Any]
) -> None:
    model = deep_model(**options)
    seen: list[tuple[int, list[Any]]] = []
    epochs: list[int] = []
    watch = keras.callbacks.LambdaCallback(
        on_epoch_begin=lambda epoch, logs: epochs.append(epoch),
        on_train_batch_end=lambda batch, logs: seen.append((epochs[-1], model.get_weights())),
    )
    evaluated = []
    evaluate = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: evaluated.append(
            (logs["val_loss"], model.evaluate(X, Y, verbose=0))
        )
    )
    model.fit(
        X,
        Y,
        batch_size=8,
        epochs=10,
        shuffle=False,
        verbose=0,
        validation_data=(X, Y),
        callbacks=[ProximalL1(zeros=0.6, values=values, **PHASES), watch, evaluate],
    )
    assert model.traces == 1
    assert_on_grid(model, values)
    final = model.get_weights()
    moved = False
    for epoch, weights in seen:
        if epoch < 7:
            continue
        model.set_weights(weights)
        assert_on_grid(model, values)
        moved = moved or not np.array_equal(weights[0], final[0])
    assert moved
    model.set_weights(final)
    # The same weights on the same data in the same batches of 32.
    for in_fit, on_its_own in evaluated[7:]:
        assert in_fit == pytest.approx(on_its_own, rel=1e-6)
    assert evaluated[-1][0] == pytest.approx(model.evaluate(X, Y, verbose=0), rel=1e-6)


def test_zeros_stay_zeros() -> None:
    model = deep_model()
    supports = []
    watch = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, _: supports.append(
            [array(x.kernel) != 0 for x in model.layers if hasattr(x, "kernel")]
        )
    )
    callback = ProximalL1(zeros=0.6, values="palette", **PHASES)
    history = model.fit(
        X, Y, batch_size=8, epochs=10, verbose=0, callbacks=[callback, watch]
    ).history
    assert history["zeros"][6] == pytest.approx(0.6, abs=1 / 344)
    # A weight may be rounded to 0, and from 0, but only where the support lets it.
    assert min(history["zeros"][7:]) >= history["zeros"][6]
    for after in supports[7:]:
        for allowed, kept in zip(supports[6], after, strict=True):
            assert not np.any(kept & ~allowed)
    for layer in model.layers:
        if hasattr(layer, "kernel"):
            kernel = array(layer.kernel)
            assert not np.signbit(kernel[kernel == 0]).any()


def rounded(latent: npt.NDArray[Any], table: npt.NDArray[Any]) -> npt.NDArray[Any]:
    scale = np.abs(latent).max(axis=0) / 127
    found: npt.NDArray[Any] = table[np.rint(np.abs(latent) / scale).astype(int)]
    return np.asarray(scale * np.sign(latent) * found)


@pytest.mark.parametrize("accumulation", [None, 4], ids=["plain", "gradient accumulation"])
@pytest.mark.parametrize("values", VALUES)
def test_straight_through_by_hand(values: str, accumulation: int | None) -> None:
    """Least squares with SGD: w <- w - rate * gradient at round(w), in numpy."""
    rate, value_steps = 0.04, 24
    model = linear_model(
        keras.optimizers.SGD(rate, gradient_accumulation_steps=accumulation),
    )
    at_start: list[Any] = []
    watch = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, _: at_start.append(model.get_weights())
    )
    callback = ProximalL1(zeros=0.5, preconditioned=False, values=values, **PHASES)
    model.fit(X, Y, batch_size=8, epochs=10, shuffle=False, verbose=0, callbacks=[callback, watch])
    latent, bias = (w.astype(np.float64) for w in at_start[6])
    support = latent != 0
    batches = [slice(8 * i, 8 * i + 8) for i in range(8)] * 3
    together = accumulation or 1
    table = np.arange(128.0)
    if values == "palette":
        scale = np.abs(latent).max(axis=0) / 127
        magnitudes = np.rint(np.abs(latent) / scale).astype(int)
        squares = np.broadcast_to(scale**2, latent.shape)
        table = nearest_in(fit_palette(magnitudes, squares)).astype(float)
    for step in range(value_steps):
        if step % together == 0:
            kernel_gradient, bias_gradient = np.zeros_like(latent), np.zeros_like(bias)
        x, y = X[batches[step]].astype(float), Y[batches[step]].astype(float)
        residual = 2 * (x @ rounded(latent, table) + bias - y) / y.size
        kernel_gradient += x.T @ residual / together
        bias_gradient += residual.sum(axis=0) / together
        if step % together == together - 1:
            latent = np.where(support, latent - rate * kernel_gradient, 0)
            bias = bias - rate * bias_gradient
    expected = rounded(latent, table)
    scale = np.abs(expected).max(axis=0) / 127
    # float32 against float64: of two values, or two palettes, that are equally near either may be
    # taken. It does not happen with these numbers.
    np.testing.assert_allclose(array(model.get_layer("dense").kernel), expected, atol=1e-5)
    np.testing.assert_allclose(array(model.get_layer("dense").bias), bias, atol=1e-5)
    # Rounding alone would leave most weights where they were.
    assert np.mean(np.abs(expected - at_start[6][0])[support] > scale.max()) > 0.5


def test_every_kind_of_kernel_is_rounded_and_only_packed_ones_to_a_palette() -> None:
    layers = keras.layers
    keras.utils.set_random_seed(1)
    model = keras.Sequential(
        [
            keras.Input((6, 6, 2)),
            layers.Conv2D(4, 3, name="conv2d"),
            layers.DepthwiseConv2D(2, depth_multiplier=2, name="depthwise"),
            layers.Conv2D(16, 1, name="pointwise"),
            layers.Reshape((9, 16)),
            layers.Conv1D(8, 3, name="conv1d"),
            layers.Flatten(),
            layers.Dense(16, name="dense"),
            layers.Dense(12, name="head"),
        ]
    )
    model.compile("adam", "mse")
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(32, 6, 6, 2)), rng.normal(size=(32, 12))
    model.get_layer("conv1d").trainable = False
    model.compile("adam", "mse")
    frozen = array(model.get_layer("conv1d").kernel).copy()
    callback = ProximalL1(zeros=0.2, values="palette", exclude=["head"])
    model.fit(x, y, epochs=4, verbose=0, callbacks=[callback])
    np.testing.assert_array_equal(array(model.get_layer("conv1d").kernel), frozen)
    magnitudes = {}
    for name in ("conv2d", "depthwise", "pointwise", "dense", "head"):
        kernel = array(model.get_layer(name).kernel)
        steps = steps_of(kernel, output_axes=2 if name == "depthwise" else 1)
        assert np.abs(steps - np.rint(steps)).max() <= NEAR, name
        magnitudes[name] = len(np.unique(np.abs(np.rint(steps)))) - 1  # without 0
    assert max(magnitudes[name] for name in ("conv2d", "pointwise", "dense")) <= 8
    assert min(magnitudes[name] for name in ("depthwise", "head")) > 8


@pytest.mark.usefixtures("mixed_float16")
def test_mixed_precision() -> None:
    model = deep_model(keras.optimizers.Adam(0.01))
    logs = fit(model, ProximalL1(zeros=0.6, values="palette", **PHASES), 10, steps=8).history
    assert_on_grid(model, "palette")
    assert 0.6 <= logs["zeros"][-1] < 0.7


def palette_fit(*others: Any) -> Any:
    """Model and history of a fit with other callbacks, too."""
    model = deep_model()
    callbacks = [ProximalL1(zeros=0.6, values="palette", **PHASES), *others]
    options = {"batch_size": 8, "epochs": 10, "shuffle": False, "verbose": 0}
    return model, model.fit(X, Y, callbacks=callbacks, **options)


@functools.cache
def weights_in_one_go() -> list[Any]:
    """The weights of `palette_fit` without an interruption."""
    weights: list[Any] = palette_fit()[0].get_weights()
    return weights


@pytest.mark.parametrize("epoch", [7, 9], ids=["before", "within"])
def test_a_backed_up_fit_resumes(epoch: int, tmp_path: Path) -> None:
    backup = tmp_path / "backup"
    with pytest.raises(Interrupt):
        palette_fit(keras.callbacks.BackupAndRestore(backup), InterruptAt(epoch))
    resumed, history = palette_fit(keras.callbacks.BackupAndRestore(backup))
    assert history.epoch == list(range(epoch, 10))
    assert_on_grid(resumed, "palette")
    for a, b in zip(weights_in_one_go(), resumed.get_weights(), strict=True):
        if epoch == 7:
            # The same batches in the same order from the same state: the same operations.
            np.testing.assert_allclose(a, b, atol=1e-6)
        else:
            # The rounding error is not in the backup: up to half the widest gap of a palette,
            # which here is below a quarter of an output's largest weight.
            np.testing.assert_allclose(a, b, atol=np.abs(a).max() / 4)


def test_restored_weights_are_left_as_they_were_best() -> None:
    model = deep_model()
    losses: list[float] = []
    stop = keras.callbacks.EarlyStopping(
        "val_score", mode="max", patience=10, restore_best_weights=True, start_from_epoch=7
    )

    def watch(epoch: int, logs: dict[str, float]) -> None:
        logs.update(val_score=-abs(epoch - 7))
        losses.append(model.evaluate(X, Y, verbose=0))

    score = keras.callbacks.LambdaCallback(on_epoch_end=watch)
    # In front of ProximalL1, EarlyStopping restores before it takes its leave.
    callback = ProximalL1(zeros=0.6, values="palette", **PHASES)
    model.fit(X, Y, batch_size=8, epochs=10, verbose=0, callbacks=[score, stop, callback])
    assert_on_grid(model, "palette")
    # Epoch 7 was the best one; weights may be a rounding of float32 away.
    assert model.evaluate(X, Y, verbose=0) == pytest.approx(losses[7], rel=1e-5)


def test_nothing_changes_before_the_last_epochs() -> None:
    def weights_of_epochs(**values: Any) -> list[Any]:
        model = deep_model()
        weights = []
        watch = keras.callbacks.LambdaCallback(
            on_epoch_end=lambda epoch, _: weights.append(model.get_weights())
        )
        callback = ProximalL1(zeros=0.6, warmup_epochs=1, debias_epochs=5, **values)
        fits = {"batch_size": 16, "epochs": 10, "shuffle": False, "verbose": 0}
        model.fit(X, Y, callbacks=[callback, watch], **fits)
        return weights

    plain = weights_of_epochs()
    for options, start in (({}, 5), ({"value_epochs": 3}, 7)):
        rounded_late = weights_of_epochs(values="palette", **options)
        for epoch in range(10):
            same = all(map(np.array_equal, plain[epoch], rounded_late[epoch]))
            assert same == (epoch < start)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"values": "int8", "debias_epochs": 2, "value_epochs": 3}, "takes 3 of .* 4 .* is 2"),
        ({"values": "int8", "debias_epochs": 0}, "debias_epochs is 0"),
        ({"values": "palette", "pattern": "4x1"}, "values='palette' with.* first: 4x1.*Dense"),
    ],
    ids=str,
)
def test_refused_before_the_first_step(arguments: dict[str, Any], message: str) -> None:
    model = deep_model()
    weights = model.get_weights()
    with pytest.raises(ConfigError, match=message) as error:
        fit(model, ProximalL1(zeros=0.5, **arguments), 4)
    assert "accepted" in str(error.value)
    assert "\n" not in str(error.value)
    for a, b in zip(weights, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_coarse_weights_are_refused() -> None:
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((12,)), keras.layers.Dense(3, dtype="float16")])
    model.compile("adam", "mse")
    with pytest.raises(ConfigError, match=r"float16 kernel of 'dense.*accepted: .*float32"):
        fit(model, ProximalL1(zeros=0.5, values="int8"), 4)
