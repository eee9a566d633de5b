"""The hook around the train step: it leaves the model as it was."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from tests.support.models.keras_models import (
    CountingModel,
    X,
    Y,
    deep_model,
    fit,
    linear_model,
    zeros_of,
)
from tflm_sparsesep.converters.errors import ConfigError
from tflm_sparsesep.training.proximal_l1 import ProximalL1

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("tensorflow")]


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


class RaisesAt(keras.callbacks.Callback):  # type: ignore[misc]
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


def test_model_that_is_not_compiled() -> None:
    model = keras.Sequential([keras.Input((12,)), keras.layers.Dense(3)])
    callback = ProximalL1(zeros=0.5)
    callback.set_model(model)
    with pytest.raises(ConfigError, match="not compiled"):
        callback.on_train_begin()
