"""The fraction of zero inputs of layers on the device, measured inside the train step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
from keras import ops

Tensor = Any

_INT8_STEPS = 255


def input_sparsity_keras(model: Any, layers: Sequence[Any], data: Any) -> Tensor:
    """Run `model` forward and count, for each of `layers`, the inputs that int8 rounds to zero.

    Args:
        model: the Keras model that is being trained.
        layers: some of its Keras layers.
        data: a batch as `train_step` gets it.

    Returns:
        float32[layers]: fractions in 0..1; 0 for a layer that the model does not call. If a layer
        is called several times, its first call counts.
    """
    x, _, _ = keras.utils.unpack_x_y_sample_weight(data)
    fractions: dict[int, Tensor] = {}
    own_calls = [vars(layer).get("call") for layer in layers]
    for position, layer in enumerate(layers):
        layer.call = _recorder(layer.call, fractions, position)
    try:
        model(x, training=False)
    finally:
        for layer, own in zip(layers, own_calls, strict=True):
            del layer.call
            if own is not None:
                layer.call = own
    nothing = ops.zeros((), "float32")
    return ops.stack([fractions.get(position, nothing) for position in range(len(layers))])


def _recorder(call: Callable[..., Any], fractions: dict[int, Tensor], position: int) -> Any:
    """Return `call` with the fraction of zeros in its first inputs recorded at `position`."""

    def recording_call(inputs: Any, *args: Any, **options: Any) -> Any:
        fractions.setdefault(position, _fraction_of_zeros(inputs))
        return call(inputs, *args, **options)

    return recording_call


def _fraction_of_zeros(inputs: Tensor) -> Tensor:
    """Return the fraction that is nearer to 0 than to the next int8 step, with one scale."""
    values = ops.cast(inputs, "float32")
    step = (ops.maximum(ops.max(values), 0.0) - ops.minimum(ops.min(values), 0.0)) / _INT8_STEPS
    return ops.mean(ops.cast(ops.abs(values) <= step / 2, "float32"))
