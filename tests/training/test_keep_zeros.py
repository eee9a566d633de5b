"""`KeepZeros`: zeros stay 0 under every optimizer; all other weights are trained as usual."""

from __future__ import annotations

import sys
from typing import Any

import keras
import numpy as np
import pytest

import tflm_sparsesep as ts
from tests.support.models.keras_models import X, Y, array, deep_model, fit
from tflm_sparsesep.training.palette import to_palette

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("tensorflow")]


def sparse_model(optimizer: Any = "adam", **options: Any) -> Any:
    """Three Dense layers, of the first two 70% zeros."""
    model = deep_model(optimizer, **options)
    rng = np.random.default_rng(0)
    for name in ("first", "second"):
        kernel = model.get_layer(name).kernel
        kernel.assign(np.where(rng.random(kernel.shape) < 0.7, 0, array(kernel)))
    return model


def kernels(model: Any) -> list[Any]:
    return [array(layer.kernel).copy() for layer in model.layers if hasattr(layer, "kernel")]


@pytest.mark.parametrize(
    "optimizer",
    [
        keras.optimizers.SGD(0.05, momentum=0.9),
        keras.optimizers.AdamW(0.01, weight_decay=0.1),
        keras.optimizers.Adam(0.01, use_ema=True),
    ],
    ids=["momentum", "decay", "averages"],
)
def test_zeros_stay_and_all_other_weights_move(optimizer: Any) -> None:
    model = sparse_model(optimizer)
    before = kernels(model)
    history = fit(model, ts.KeepZeros(), 3, steps=4, validation_data=(X, Y)).history
    zeros = sum(int(np.sum(k == 0)) for k in before)
    for old, new in zip(before, kernels(model), strict=True):
        np.testing.assert_array_equal(old == 0, new == 0)
        assert np.mean(old[old != 0] != new[old != 0]) > 0.9
    assert history["zeros"] == [zeros / sum(k.size for k in before)] * 3
    assert history["loss"][-1] < history["loss"][0]


def test_without_zeros_training_is_that_of_a_plain_fit() -> None:
    plain, kept = deep_model(), deep_model()
    fit(plain, None, 3, steps=4)
    fit(kept, ts.KeepZeros(), 3, steps=4)
    for a, b in zip(plain.get_weights(), kept.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_the_train_step_is_taken_out_again() -> None:
    model = sparse_model()
    fit(model, ts.KeepZeros(exclude=["second"]), 1)
    before = kernels(model)
    fit(model, None, 5)
    assert any(
        np.any((old == 0) != (new == 0)) for old, new in zip(before, kernels(model), strict=True)
    )


def test_int8_values_are_those_of_the_file() -> None:
    model = sparse_model()
    fit(model, ts.KeepZeros(values="int8"), 4, steps=4)
    for kernel in kernels(model):
        steps = kernel / (np.abs(kernel).max(axis=0) / 127)
        # Scale and weight are float32: their quotient is an integer to a few parts in 2^24.
        np.testing.assert_allclose(steps, np.rint(steps), atol=127 * 4 * 2.0**-24)


@pytest.mark.parametrize("values", [None, "int8"])
def test_few_values_stay_few(values: str | None) -> None:
    """A layer of 8 magnitudes and both signs keeps to such; the other one is trained as ever."""
    model = sparse_model()
    kernel = model.get_layer("first").kernel
    steps = np.rint(127 * array(kernel) / np.abs(array(kernel)).max(axis=0)).astype(np.int8)
    kernel.assign(to_palette(steps.T, np.ones(steps.shape[1])).T.astype(np.float32) / 300)
    before = kernels(model)
    fit(model, ts.KeepZeros(values=values), 4, steps=4)
    after = kernels(model)
    magnitudes = np.rint(127 * np.abs(after[0]) / np.abs(after[0]).max(axis=0))
    assert len(np.unique(magnitudes[magnitudes > 0])) <= 8
    assert np.mean(after[0] != before[0]) > 0.05
    for old, new in zip(before, after, strict=True):
        assert np.all(new[old == 0] == 0)
    assert len(np.unique(np.abs(after[1]))) > 20


def test_what_is_not_accepted_is_an_error() -> None:
    with pytest.raises(ts.ConfigError, match="values='palette'; accepted: int8, or None"):
        ts.KeepZeros(values="palette")
    with pytest.raises(ts.ConfigError, match="without goals"):
        ts.KeepZeros(layers={"first": 0.5})
    model = sparse_model()
    with pytest.raises(ts.ConfigError, match="names no fitting layer"):
        fit(model, ts.KeepZeros(exclude=["third"]), 1)
    uncompiled = keras.Sequential([keras.Input((12,)), keras.layers.Dense(3)])
    callback = ts.KeepZeros()
    callback.set_model(uncompiled)
    with pytest.raises(ts.ConfigError, match=r"call model\.compile first"):
        callback.on_train_begin()


@pytest.mark.parametrize("name", ["KeepZeros", "ProximalL1", "plot_masks"])
def test_without_keras_an_error_says_how_to_get_it(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "keras", None)
    with pytest.raises(ts.ToolMissingError, match=rf"^{name} needs Keras 3 .*pip install"):
        getattr(ts, name)
