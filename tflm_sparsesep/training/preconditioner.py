"""D, the diagonal that an optimizer divides its step by: w <- w - eta * m / D."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
from keras import ops

from tflm_sparsesep.converters.errors import ConfigError

Tensor = Any


def innermost(optimizer: Any) -> Any:
    """Return the optimizer inside the loss scaling of mixed precision."""
    return getattr(optimizer, "inner_optimizer", optimizer)


def find_preconditioner(optimizer: Any, kernel: Any) -> Callable[[], Any]:
    """Return a function that reads D of `kernel`, in its shape.

    Args:
        optimizer: a built optimizer without loss scaling (see `innermost`).
        kernel: one of its variables.

    Raises:
        ConfigError: the optimizer keeps no second moment.
    """
    if isinstance(optimizer, keras.optimizers.Adam | keras.optimizers.Nadam):
        amsgrad = getattr(optimizer, "amsgrad", False)
        velocity = _state(optimizer, "_velocity_hats" if amsgrad else "_velocities", kernel)
        return lambda: adam_preconditioner(
            ops.cast(velocity, "float32"),
            # Before the first step both the velocity and its correction are 0.
            ops.maximum(optimizer.iterations, 1),
            beta_2=optimizer.beta_2,
            epsilon=optimizer.epsilon,
        )
    if isinstance(optimizer, keras.optimizers.RMSprop):
        velocity = _state(optimizer, "_velocities", kernel)
        average = _state(optimizer, "_average_gradients", kernel) if optimizer.centered else 0.0
        return lambda: rmsprop_preconditioner(
            ops.cast(velocity, "float32"),
            ops.cast(average, "float32"),
            epsilon=optimizer.epsilon,
        )
    raise ConfigError(
        f"optimizer {type(optimizer).__name__} keeps no second moment to precondition with; "
        "accepted: Adam, AdamW, Nadam, RMSprop, or any optimizer with preconditioned=False"
    )


def adam_preconditioner(
    velocity: Tensor, steps: Tensor, *, beta_2: float, epsilon: float
) -> Tensor:
    """Return sqrt(v / (1 - beta_2^t)) + epsilon: D of Adam, AdamW and Nadam.

    Keras' Adam adds epsilon before the bias correction. The difference, a factor on epsilon = 1e-7,
    is ignored so that one formula serves all three.
    """
    correction = 1.0 - ops.power(ops.cast(beta_2, "float32"), ops.cast(steps, "float32"))
    return ops.sqrt(velocity / correction) + epsilon


def rmsprop_preconditioner(
    velocity: Tensor, average_gradient: Tensor = 0.0, *, epsilon: float
) -> Tensor:
    """Return sqrt(v - a^2 + epsilon): D of Keras' RMSprop; a is 0 unless it is centered."""
    return ops.sqrt(velocity - ops.square(average_gradient) + epsilon)


def _state(optimizer: Any, name: str, kernel: Any) -> Any:
    """Return the optimizer's variable of `kernel` in its list `name`."""
    # Keras has no public access.
    return getattr(optimizer, name)[optimizer._get_variable_index(kernel)]
