"""How many inputs of a layer are zero on the device, measured inside the train step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
from keras import ops

Tensor = Any

_INT8_STEPS = 255


def input_zeros(model: Any, layers: Sequence[Any], data: Any) -> Tensor:
    """Runs the model forward and counts, for each of `layers`, inputs that int8 rounds to zero.

    Args:
        model: the Keras model that is being trained.
        layers: some of its layers.
        data: a batch as `train_step` gets it.

    Returns:
        float32[layers]: shares of 0..1; 0 for a layer that the model does not call. A layer that
        is called several times counts with its first call.
    """
    x, _, _ = keras.utils.unpack_x_y_sample_weight(data)
    shares: dict[int, Tensor] = {}
    own_calls = [vars(layer).get("call") for layer in layers]
    for layer in layers:
        layer.call = _recorder(layer, layer.call, shares)
    try:
        model(x, training=False)
    finally:
        for layer, own in zip(layers, own_calls, strict=True):
            del layer.call
            if own is not None:
                layer.call = own
    nothing = ops.zeros((), "float32")
    return ops.stack([shares.get(id(layer), nothing) for layer in layers])


def _recorder(layer: Any, call: Callable[..., Any], shares: dict[int, Tensor]) -> Any:
    def recording_call(inputs: Any, *args: Any, **options: Any) -> Any:
        shares.setdefault(id(layer), _share_of_zeros(inputs))
        return call(inputs, *args, **options)

    return recording_call


def _share_of_zeros(inputs: Tensor) -> Tensor:
    """The share that is nearer to 0 than to the next int8 step, one scale for all."""
    values = ops.cast(inputs, "float32")
    step = (ops.maximum(ops.max(values), 0.0) - ops.minimum(ops.min(values), 0.0)) / _INT8_STEPS
    return ops.mean(ops.cast(ops.abs(values) <= step / 2, "float32"))
