"""The operators without weights of the int8 model that a Keras model becomes."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from tflm_sparsesep.converters.cost import other_operators, residual
from tflm_sparsesep.converters.cost.other_operators import OtherOperator
from tflm_sparsesep.converters.cost.shapes import ConvShape
from tflm_sparsesep.converters.layers.quantized import Unsupported
from tflm_sparsesep.training.device_layer import DeviceLayer, fixed, two
from tflm_sparsesep.training.trained_layer import walk

# The converter folds them into the layer before, or leaves them out.
_FOLDED = ("InputLayer", "BatchNormalization", "ReLU", "Activation")
_FUSED = ("linear", "relu", "relu6")
_ACTIVATIONS = {"softmax": "SOFTMAX", "sigmoid": "LOGISTIC"}


def fixed_instructions(model: Any, target: str) -> int:
    """Return the instructions of what has no weights, with sums fused as the converter fuses them.

    A sum counts as the residual of a convolution that becomes sparse, whatever its zeros.
    """
    found, _ = other_operators.total(target, operators_without_weights(model))
    sums = [layer for layer in walk(model) if type(layer).__name__ == "Add"]
    return found - sum(_saved_by_fusing(layer, target) for layer in sums)


def _saved_by_fusing(layer: Any, target: str) -> int:
    """Return the instructions that an Add takes less as a residual; 0 if none fits."""
    try:
        (elements,) = _pairs(layer)
        is_pair = len(layer.input) == 2
    except (AttributeError, ValueError, Unsupported):
        return 0
    if target == "host" or not is_pair or not any(map(_is_of_sparse_conv, layer.input)):
        return 0
    dense = other_operators.instructions(target, OtherOperator("ADD", (elements,))) or 0
    return max(0, dense - residual.instructions(target, elements))


def _is_of_sparse_conv(tensor: Any) -> bool:
    """Return True for the outputs of a layer that becomes a SPARSE_CONV_2D if it has zeros."""
    source = tensor._keras_history.operation  # Keras has no public way to walk a graph.
    while type(source).__name__ in _FOLDED[1:] and not _activation(source):
        source = source.input._keras_history.operation
    if type(source).__name__ != "Conv2D":
        return False
    device = DeviceLayer.of(source)
    return device.has_kernel and isinstance(device.shape, ConvShape) and not _activation(source)


def operators_without_weights(model: Any) -> list[OtherOperator]:
    """Return what the layers without weights and the activations of a model become.

    Requantizations that a quantizer puts in between are not among them, nor are reshapes between
    vectors and images of one row, which 1-D convolutions and pools run on.
    """
    leaves = [layer for layer in walk(model) if not hasattr(layer, "layers")]
    return [op for layer in leaves for op in (*_operators(layer), *_activation(layer))]


def _operators(layer: Any) -> list[OtherOperator]:
    kind = type(layer).__name__
    if layer.weights or kind in _FOLDED or "Dropout" in kind or "Noise" in kind:
        return []
    if kind not in _LAYERS or getattr(layer, "data_format", "") == "channels_first":
        return [OtherOperator(kind)]
    name, sizes = _LAYERS[kind]
    try:
        times = len(layer.input) - 1 if sizes is _pairs else 1
        return [OtherOperator(name, tuple(sizes(layer)))] * times
    except (AttributeError, ValueError, Unsupported):  # called several times, or of open size
        return [OtherOperator(name)]


def _activation(layer: Any) -> list[OtherOperator]:
    function = getattr(layer, "activation", None)
    name = getattr(function, "__name__", "linear")
    if function is None or name in _FUSED:
        return []
    kind = _ACTIVATIONS.get(name, name.upper())
    try:
        sizes = {"SOFTMAX": _softmax, "LOGISTIC": _elements}[kind](layer)
    except (AttributeError, KeyError, ValueError, Unsupported):
        return [OtherOperator(kind)]
    return [OtherOperator(kind, tuple(sizes))]


def _elements(layer: Any) -> list[int]:
    return [math.prod(fixed(layer.output.shape))]


def _pairs(layer: Any) -> list[int]:
    if len({fixed(x.shape) for x in layer.input}) > 1:
        raise Unsupported("broadcast: another kernel")
    return _elements(layer)


def _softmax(layer: Any) -> list[int]:
    *rows, depth = fixed(layer.output.shape)
    return [math.prod(rows), depth]


def _mean(layer: Any) -> list[int]:
    return list(fixed(layer.input.shape)[1:])


def _pool(layer: Any) -> list[int]:
    window = *two(layer.pool_size), *two(layer.strides)
    return [*_mean(layer), *window, layer.padding == "valid"]


def _row_pool(layer: Any) -> list[int]:
    """Return the sizes of a 1-D pool, which becomes one on an image of one row."""
    (size,), (stride,) = layer.pool_size, layer.strides
    return [1, *_mean(layer), 1, size, 1, stride, layer.padding == "valid"]


def _pad(layer: Any) -> list[int]:
    rows, columns = layer.padding
    return [*_mean(layer), *rows, *columns]


def _concatenation(layer: Any) -> list[int]:
    shapes = [fixed(x.shape) for x in layer.input]
    axis = layer.axis % len(shapes[0])
    return [math.prod(shapes[0][:axis]), *(math.prod(shape[axis:]) for shape in shapes)]


_LAYERS: dict[str, tuple[str, Callable[[Any], list[int]]]] = {
    "Add": ("ADD", _pairs),
    "Multiply": ("MUL", _pairs),
    "Flatten": ("RESHAPE", _elements),
    "Reshape": ("RESHAPE", _elements),
    "Softmax": ("SOFTMAX", _softmax),
    "AveragePooling2D": ("AVERAGE_POOL_2D", _pool),
    "MaxPooling2D": ("MAX_POOL_2D", _pool),
    "AveragePooling1D": ("AVERAGE_POOL_2D", _row_pool),
    "MaxPooling1D": ("MAX_POOL_2D", _row_pool),
    "GlobalAveragePooling2D": ("MEAN", _mean),
    "ZeroPadding2D": ("PAD", _pad),
    "Concatenate": ("CONCATENATION", _concatenation),
}
