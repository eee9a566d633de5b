"""Compare an int8 model with its compressed form, layer by layer, in real numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tflm_sparsesep.converters.errors import ModelError
from tflm_sparsesep.converters.factorize.chain import RealLayer
from tflm_sparsesep.converters.layers import real
from tflm_sparsesep.converters.layers.quantized import Unsupported, layer_name
from tflm_sparsesep.converters.tflite import editor
from tflm_sparsesep.converters.tflite.editor import Operator, Tensor


@dataclass(frozen=True)
class CompressedLayer:
    """A layer before and after.

    Attributes:
        name: of the layer.
        before: the original.
        parts: the layers in its place, each of which reads the one before.
    """

    name: str
    before: RealLayer
    parts: tuple[RealLayer, ...]


def compressed_layers(source: bytes, compressed: bytes) -> list[CompressedLayer]:
    """Return the layers of `source` that `compressed` computes with other numbers, in order.

    Args:
        source: an int8 .tflite file.
        compressed: the output of `compress`, before rewriting.

    Raises:
        ModelError: the files do not belong together.
    """
    before = editor.read(source).subgraphs[0].operators
    after = list(editor.read(compressed).subgraphs[0].operators)
    found = []
    for op in before:
        replaced = _taken(after, op)
        if not _same_numbers(op, replaced):
            parts = tuple(_read(one) for one in replaced)
            found.append(CompressedLayer(layer_name(op), _read(op), parts))
    return found


def _taken(after: list[Operator], op: Operator) -> list[Operator]:
    """Remove and return the operators up to the one that writes the output of `op`."""
    names = [tensor.name for tensor in op.outputs]
    for count, one in enumerate(after, 1):
        if [tensor.name for tensor in one.outputs] == names:
            taken, after[:] = after[:count], after[count:]
            return taken
    raise ModelError(f"layer {layer_name(op)!r} is not in the compressed model")


def _same_numbers(op: Operator, replaced: Sequence[Operator]) -> bool:
    """Return True if one operator is left, with the same constants."""
    if len(replaced) > 1 or len(op.inputs) != len(replaced[0].inputs):
        return False
    pairs = zip(op.inputs, replaced[0].inputs, strict=True)
    return all(_equal(a, b) for a, b in pairs if a is not None and a.is_constant)


def _equal(tensor: Tensor, other: Tensor | None) -> bool:
    """Return True if two constants hold the same integers with the same scales."""
    if tensor.array is None or other is None or other.array is None:
        return tensor is other
    return np.array_equal(tensor.array, other.array) and _scales(tensor) == _scales(other)


def _scales(tensor: Tensor) -> list[float]:
    return [] if tensor.quantization is None else tensor.quantization.scales.tolist()


def _read(op: Operator) -> RealLayer:
    try:
        return real.read(op)
    except Unsupported as reason:
        raise ModelError(f"layer {layer_name(op)!r}: {reason}") from None
