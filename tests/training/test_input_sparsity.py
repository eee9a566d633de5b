"""The measured fractions of zero inputs against inputs that were made for it."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from tflm_sparsesep.training.input_sparsity import input_sparsity_keras

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("tensorflow")]


def test_counts_inputs_that_int8_rounds_to_zero() -> None:
    keras.utils.set_random_seed(0)
    layers = [keras.layers.Dense(4, "relu"), keras.layers.Dense(3), keras.layers.Dense(2)]
    model = keras.Sequential([keras.Input((8,)), *layers[:2]])
    # One step is 2.55 / 255: half of it rounds to 0, more does not.
    x = np.zeros((2, 8), np.float32)
    x[0] = [2.55, 0.0049, 0.0051, 0, 1, -0.0, -0.0049, 0.5]
    x[1, :2] = 1
    # The train step also passes labels.
    found = np.asarray(input_sparsity_keras(model, layers, (x, np.zeros((2, 3)))))
    hidden = np.maximum(x @ layers[0].kernel.numpy(), 0)
    step = hidden.max() / 255
    assert found[0] == pytest.approx(10 / 16)
    assert found[1] == pytest.approx(np.mean(hidden <= step / 2))
    # The model does not call the last one.
    assert found[2] == 0
    assert all("call" not in vars(layer) for layer in layers)


def test_a_failing_call_leaves_layers_as_they_were() -> None:
    layer = keras.layers.Dense(4)
    model = keras.Sequential([keras.Input((8,)), layer])
    with pytest.raises(ValueError, match=r"incompatible|expected"):
        input_sparsity_keras(model, [layer], np.zeros((2, 9), np.float32))
    assert "call" not in vars(layer)
