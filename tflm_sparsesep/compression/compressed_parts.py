"""What `compress` made of each layer of an int8 model, read off the two files as real numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tflm_sparsesep.converters.errors import ModelError
from tflm_sparsesep.converters.factorize.gram import Matrix, Vector
from tflm_sparsesep.converters.layers import depthwise_pair
from tflm_sparsesep.converters.layers import real as real_layer
from tflm_sparsesep.converters.layers.quantized import Unsupported, layer_name
from tflm_sparsesep.converters.tflite import editor
from tflm_sparsesep.converters.tflite.editor import BuiltinOperator, Operator, Tensor

_SAME = 0  # schema.Padding
_LAYERS = (BuiltinOperator.FULLY_CONNECTED, BuiltinOperator.CONV_2D)


@dataclass(frozen=True)
class Part:
    """One operator, FULLY_CONNECTED, CONV_2D or DEPTHWISE_CONV_2D.

    weights: float64[rows, height * width * channels], row after row of an image patch, of a
    depthwise convolution [channels, height * width]. bias: float64[rows]. taps: height and width,
    1 x 1 for fully-connected layers. strides: down, right. same: SAME padding, else VALID.
    """

    weights: Matrix
    bias: Vector
    taps: tuple[int, int] = (1, 1)
    strides: tuple[int, int] = (1, 1)
    same: bool = False
    is_depthwise: bool = False


@dataclass(frozen=True)
class CompressedLayer:
    """A layer as it was, and the operators in its place, which read one another."""

    name: str
    before: Part
    parts: tuple[Part, ...]


def compressed_layers(source: bytes, compressed: bytes) -> list[CompressedLayer]:
    """The layers of `source` that `compressed` computes with other numbers, in order.

    Args:
        source: an int8 .tflite file.
        compressed: what `compress` made of it, before the rewriting.

    Raises:
        ModelError: the files do not belong together.
    """
    before = editor.read(source).subgraphs[0].operators
    after = list(editor.read(compressed).subgraphs[0].operators)
    found = []
    for op in before:
        replaced = _taken(after, op)
        if not _same_numbers(op, replaced):
            parts = tuple(_part(one) for one in replaced)
            found.append(CompressedLayer(layer_name(op), _part(op), parts))
    return found


def _taken(after: list[Operator], op: Operator) -> list[Operator]:
    """The operators up to the one that writes what `op` writes; they leave the list."""
    names = [tensor.name for tensor in op.outputs]
    for count, one in enumerate(after, 1):
        if [tensor.name for tensor in one.outputs] == names:
            taken, after[:] = after[:count], after[count:]
            return taken
    raise ModelError(f"layer {layer_name(op)!r} is not in the compressed model")


def _same_numbers(op: Operator, replaced: Sequence[Operator]) -> bool:
    """Whether one operator is left, with the same constants."""
    if len(replaced) > 1 or len(op.inputs) != len(replaced[0].inputs):
        return False
    pairs = zip(op.inputs, replaced[0].inputs, strict=True)
    return all(_equal(a, b) for a, b in pairs if a is not None and a.is_constant)


def _equal(tensor: Tensor, other: Tensor | None) -> bool:
    """Whether two constants hold the same real numbers, each in the same integers."""
    if tensor.array is None or other is None or other.array is None:
        return tensor is other
    return np.array_equal(tensor.array, other.array) and _scales(tensor) == _scales(other)


def _scales(tensor: Tensor) -> list[float]:
    return [] if tensor.quantization is None else tensor.quantization.scales.tolist()


def _part(op: Operator) -> Part:
    is_depthwise = op.builtin_code == BuiltinOperator.DEPTHWISE_CONV_2D
    if op.builtin_code not in _LAYERS and not is_depthwise:
        raise ModelError(
            f"layer {layer_name(op)!r}: {op.op_name}, accepted: FULLY_CONNECTED or CONV_2D"
        )
    try:
        layer = depthwise_pair.read(op) if is_depthwise else real_layer.read(op)
    except Unsupported as reason:
        raise ModelError(f"layer {layer_name(op)!r}: {reason}") from None
    if op.builtin_code == BuiltinOperator.FULLY_CONNECTED:
        return Part(layer.weights, layer.bias)
    _, height, width, _ = op.weights.shape
    strides = (int(op.options.strideH), int(op.options.strideW))
    same = op.options.padding == _SAME
    return Part(layer.weights, layer.bias, (height, width), strides, same, is_depthwise)
