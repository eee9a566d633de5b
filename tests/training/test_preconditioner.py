"""D of each optimizer: the formulas, and the state that they read."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

from tests.support.models.keras_models import fit, linear_model
from tflm_sparsesep.converters.errors import ConfigError
from tflm_sparsesep.training.preconditioner import (
    adam_preconditioner,
    find_preconditioner,
    innermost,
    rmsprop_preconditioner,
)

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("tensorflow")]


def test_preconditioners_are_the_optimizers_denominators() -> None:
    velocity = np.array([4e-4, 9e-2, 0], np.float32)
    adam = adam_preconditioner(velocity, 2, beta_2=0.9, epsilon=1e-7)
    # Rounding: 1 - 0.9^2 in float32 is good to 2^-24 / 0.19, halved by the root; 1e-6 covers it.
    np.testing.assert_allclose(np.asarray(adam), np.sqrt(velocity / 0.19) + 1e-7, rtol=1e-6)
    rmsprop = rmsprop_preconditioner(velocity, np.array([0.01, 0.1, 0], np.float32), epsilon=1e-7)
    expected = np.sqrt(np.array([4e-4 - 1e-4, 9e-2 - 1e-2, 0]) + 1e-7)
    np.testing.assert_allclose(np.asarray(rmsprop), expected, rtol=1e-6)


@pytest.mark.parametrize("amsgrad", [False, True])
def test_amsgrad_reads_the_largest_velocity(amsgrad: bool) -> None:
    model = linear_model(keras.optimizers.Adam(0.05, amsgrad=amsgrad))
    fit(model, None, 4)
    optimizer, kernel = model.optimizer, model.layers[0].kernel
    position = next(i for i, variable in enumerate(model.trainable_variables) if variable is kernel)
    state = optimizer._velocity_hats if amsgrad else optimizer._velocities
    expected = np.sqrt(np.asarray(state[position]) / (1 - 0.999**4)) + 1e-7
    found = find_preconditioner(optimizer, kernel)()
    # 1 - 0.999^4 has lost 8 of float32's 24 bits, halved by the root.
    np.testing.assert_allclose(np.asarray(found), expected, rtol=2.0**-16)


def test_before_the_first_step_it_is_finite() -> None:
    model = linear_model("adam")
    model.optimizer.build(model.trainable_variables)
    found = np.asarray(find_preconditioner(model.optimizer, model.layers[0].kernel)())
    np.testing.assert_allclose(found, 1e-7)


@pytest.mark.parametrize("optimizer", ["sgd", "adagrad"])
def test_optimizers_without_a_second_moment_are_refused(optimizer: str) -> None:
    model = linear_model(optimizer)
    with pytest.raises(ConfigError, match=r"accepted: Adam.*preconditioned=False"):
        find_preconditioner(model.optimizer, model.layers[0].kernel)


def test_loss_scaling_is_unwrapped() -> None:
    adam: Any = keras.optimizers.Adam()
    assert innermost(keras.optimizers.LossScaleOptimizer(adam)) is adam
    assert innermost(adam) is adam
