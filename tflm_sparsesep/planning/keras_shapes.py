"""Shapes of a Keras model's layers, in the int8 model that it becomes."""

from __future__ import annotations

import math
from typing import Any

from tflm_sparsesep.converters.errors import ModelError
from tflm_sparsesep.converters.layers.quantized import Unsupported
from tflm_sparsesep.planning.shapes import GROUPED, TOO_LARGE, LayerShape, ModelShapes, Shape
from tflm_sparsesep.training.device_layer import (
    DeviceLayer,
    depthwise_shape,
    fixed,
    parameter_bytes_of,
)
from tflm_sparsesep.training.other_layers import operators_without_weights

_OPERATORS = {
    "Dense": "FULLY_CONNECTED",
    "Conv1D": "CONV_2D",
    "Conv2D": "CONV_2D",
    "DepthwiseConv2D": "DEPTHWISE_CONV_2D",
}


def shapes_of(model: Any) -> ModelShapes:
    """Return every layer with a kernel, in the order of the model, and the other operators.

    Nested models are included.

    Raises:
        ModelError: there is none: the model has not been built, or has no weights.
    """
    layers = [_shape_of(layer) for layer in _flat(model) if _weights(layer)]
    if not layers:
        raise ModelError(
            f"model {getattr(model, 'name', '?')!r} has no layer with weights; accepted: a Keras "
            "model that has been built"
        )
    return ModelShapes(layers, operators_without_weights(model))


def _flat(model: Any) -> list[Any]:
    nested = [_flat(one) if hasattr(one, "layers") else [one] for one in model.layers]
    return [layer for part in nested for layer in part]


def _weights(layer: Any) -> list[Any]:
    """Return its matrices; normalization has none and is folded into the previous layer."""
    return [weight for weight in layer.weights if len(weight.shape) > 1]


def _shape_of(layer: Any) -> LayerShape:
    kind = type(layer).__name__
    op = _OPERATORS.get(kind, kind)
    size = "x".join(str(n) for n in _weights(layer)[0].shape)
    shape, reason = None, ""
    try:
        shape = depthwise_shape(layer) if kind == "DepthwiseConv2D" else _other(layer, kind)
    except Unsupported as unsupported:
        reason = str(unsupported)
    matrices = sum(math.prod(weight.shape) for weight in _weights(layer))
    total = matrices + parameter_bytes_of(layer)
    return LayerShape(layer.name, op, shape, str(shape or size), total, reason)


def _other(layer: Any, kind: str) -> Shape:
    """Return the shape; raise Unsupported with the reason if no form applies."""
    if kind not in ("Dense", "Conv1D", "Conv2D"):
        raise Unsupported(f"no kernel of ours for {_OPERATORS.get(kind, kind)}")
    device = DeviceLayer.of(layer)
    if device.has_kernel:
        return device.shape
    if kind != "Dense":
        if layer.data_format != "channels_last" or layer.padding not in ("same", "valid"):
            raise Unsupported(f"{layer.data_format} and padding {layer.padding!r}: no kernel")
        if layer.groups != 1:
            raise Unsupported(GROUPED)
        fixed(layer.input.shape)
    raise Unsupported(TOO_LARGE)
