"""Models that know their inputs only from the first batch train as built ones do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest

import tflm_sparsesep as ts
from tests.support.models.keras_models import array
from tflm_sparsesep.converters.errors import ConfigError

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("tensorflow")]

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(60, 12)).astype(np.float32), RNG.integers(0, 4, 60)


class Subclassed(keras.Model):  # type: ignore[misc]
    """Two Dense layers."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = keras.layers.Dense(16), keras.layers.Dense(4)

    def call(self, inputs: Any) -> Any:
        return self.last(self.first(inputs))


def sequential() -> Any:
    return keras.Sequential([keras.layers.Dense(16), keras.layers.Dense(4)])


def trained(make: Callable[[], Any], callback: Any, *, built: bool, data: Any = (X, Y)) -> Any:
    keras.utils.set_random_seed(0)
    model = make()
    if built:
        model(X[:1])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(0.01), loss)
    inputs, *labels = data if isinstance(data, tuple) else (data,)
    model.fit(inputs, *labels, epochs=5, batch_size=16, verbose=0, callbacks=[callback])
    return model


@pytest.mark.parametrize("make", [sequential, Subclassed])
def test_training_is_that_of_a_built_model(make: Callable[[], Any]) -> None:
    wanted = trained(make, ts.ProximalL1(zeros=0.8), built=True)
    found = trained(make, ts.ProximalL1(zeros=0.8), built=False)
    kernels = [array(layer.kernel) for layer in found.layers]
    assert np.mean(np.concatenate([k.ravel() for k in kernels]) == 0) >= 0.8
    for one, other in zip(wanted.get_weights(), found.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_data_without_labels_of_their_own() -> None:
    import tensorflow as tf

    batches = tf.data.Dataset.from_tensor_slices((X, Y)).batch(16)
    model = trained(sequential, ts.ProximalL1(zeros=0.8), built=False, data=batches)
    assert np.mean(array(model.layers[0].kernel) == 0) > 0.7


def test_keep_zeros_without_zeros() -> None:
    plain = trained(sequential, keras.callbacks.Callback(), built=False)
    kept = trained(sequential, ts.KeepZeros(), built=False)
    for one, other in zip(plain.get_weights(), kept.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_selection_of_nothing_is_refused_and_the_model_trains_on() -> None:
    keras.utils.set_random_seed(0)
    model = sequential()
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    with pytest.raises(ConfigError, match="'nothing' names no fitting layer"):
        model.fit(X, Y, verbose=0, callbacks=[ts.ProximalL1(zeros=0.8, layers=["nothing"])])
    model.fit(X, Y, verbose=0)
    assert np.all(array(model.layers[0].kernel) != 0)
