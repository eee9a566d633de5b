"""Operators without weights, as the shapes that their cost depends on."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from numpy.typing import NDArray

from tflm_sparsesep.converters.cost.other_operators import OtherOperator
from tflm_sparsesep.converters.tflite.editor import (
    BuiltinOperator,
    Operator,
    Tensor,
    TensorType,
    schema,
)

_IMAGE_AXES = [1, 2]
# A window of a pool has no more, down or right: files may say anything.
_MOST_TAPS = 1 << 12


def read(op: Operator, types: Sequence[int] = (TensorType.INT8,)) -> OtherOperator:
    """Return an operator with one of `types`; without sizes if its cost is not known.

    It is not where one of its tensors has another type, for several images, and for broadcasts,
    which TFLM runs in other kernels.
    """
    reader = _READERS.get(op.builtin_code)
    data = [t for t in (*op.inputs, *op.outputs) if t is not None and not _is_parameter(t)]
    found = {t.type for t in data}
    sizes, shapes = None, [t.shape for t in data]
    is_plain = len(op.outputs) == 1 and len(found) == 1 and found <= set(types)
    if reader is not None and is_plain and len(shapes) > 1 and all(shapes):
        sizes = reader(op, shapes[:-1], shapes[-1])
    return OtherOperator(op.op_name, tuple(map(int, sizes or ())))


_Shape = tuple[int, ...]
_Sizes = Sequence[int] | None


def _is_parameter(tensor: Tensor) -> bool:
    """Return True for a new shape, axes or paddings."""
    return tensor.is_constant and tensor.type == TensorType.INT32


def _elements(op: Operator, inputs: list[_Shape], output: _Shape) -> _Sizes:
    return [math.prod(output)] if set(inputs) == {output} else None


def _reshape(op: Operator, inputs: list[_Shape], output: _Shape) -> _Sizes:
    return [math.prod(output)]


def _softmax(op: Operator, inputs: list[_Shape], output: _Shape) -> _Sizes:
    return [math.prod(output[:-1]), output[-1]]


def _pool(op: Operator, inputs: list[_Shape], output: _Shape) -> _Sizes:
    if not (isinstance(op.options, schema.Pool2DOptionsT) and _is_image(inputs[0])):
        return None
    window = op.options.filterHeight, op.options.filterWidth, *op.strides
    is_possible = min(window) > 0 and max(window) <= _MOST_TAPS
    return [*inputs[0][1:], *window, not op.is_same] if is_possible else None


def _mean(op: Operator, inputs: list[_Shape], output: _Shape) -> _Sizes:
    axes = _constant(op)
    is_over_image = axes is not None and sorted(axes.reshape(-1).tolist()) == _IMAGE_AXES
    return inputs[0][1:] if _is_image(inputs[0]) and is_over_image else None


def _pad(op: Operator, inputs: list[_Shape], output: _Shape) -> _Sizes:
    paddings = _constant(op)
    if paddings is None or not _is_image(inputs[0]) or paddings.size != 8:
        return None
    batch, rows, columns, channels = paddings.reshape(4, 2).tolist()
    return None if any(batch + channels) else [*inputs[0][1:], *rows, *columns]


def _concatenation(op: Operator, inputs: list[_Shape], output: _Shape) -> _Sizes:
    if not isinstance(op.options, schema.ConcatenationOptionsT):
        return None
    axis = op.options.axis % len(output)
    return [math.prod(output[:axis]), *(math.prod(shape[axis:]) for shape in inputs)]


def _constant(op: Operator) -> NDArray[Any] | None:
    """Return the constant second input."""
    second = op.inputs[1] if len(op.inputs) > 1 else None
    return None if second is None else second.array


def _is_image(shape: _Shape) -> bool:
    return len(shape) == 4 and shape[0] == 1


_READERS: dict[int, Callable[[Operator, list[_Shape], _Shape], _Sizes]] = {
    BuiltinOperator.ADD: _elements,
    BuiltinOperator.MUL: _elements,
    BuiltinOperator.RELU: _elements,
    BuiltinOperator.RELU6: _elements,
    BuiltinOperator.QUANTIZE: _elements,
    BuiltinOperator.LOGISTIC: _elements,
    BuiltinOperator.RESHAPE: _reshape,
    BuiltinOperator.SOFTMAX: _softmax,
    BuiltinOperator.AVERAGE_POOL_2D: _pool,
    BuiltinOperator.MAX_POOL_2D: _pool,
    BuiltinOperator.MEAN: _mean,
    BuiltinOperator.PAD: _pad,
    BuiltinOperator.CONCATENATION: _concatenation,
}
