"""Operators without weights, as the shapes that their cost depends on."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from tflm_sparsesep.converters.cost.other_operators import OtherOperator
from tflm_sparsesep.converters.tflite.editor import BuiltinOperator, Operator, Tensor, TensorType

_IMAGE_AXES = [1, 2]


def read(op: Operator, types: Sequence[int] = (TensorType.INT8,)) -> OtherOperator:
    """Return an operator with one of `types`; without sizes if its cost is not known.

    It is not where one of its tensors has another type, for several images, and for broadcasts,
    which TFLM runs in other kernels.
    """
    reader = _READERS.get(op.builtin_code)
    data = [t for t in (*op.inputs, *op.outputs) if t is not None and not _is_parameter(t)]
    found = {t.type for t in data}
    sizes = None
    if reader is not None and len(op.outputs) == 1 and len(found) == 1 and found <= set(types):
        sizes = reader(op, [t.shape for t in data[:-1]], data[-1].shape)
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
    if op.options is None or not _is_image(inputs[0]):
        return None
    window = op.options.filterHeight, op.options.filterWidth
    return [*inputs[0][1:], *window, *op.strides, not op.is_same]


def _mean(op: Operator, inputs: list[_Shape], output: _Shape) -> _Sizes:
    axes = op.input(1).array
    is_over_image = axes is not None and sorted(axes.reshape(-1).tolist()) == _IMAGE_AXES
    return inputs[0][1:] if _is_image(inputs[0]) and is_over_image else None


def _pad(op: Operator, inputs: list[_Shape], output: _Shape) -> _Sizes:
    paddings = op.input(1).array
    if paddings is None or not _is_image(inputs[0]) or paddings.size != 8:
        return None
    batch, rows, columns, channels = paddings.reshape(4, 2).tolist()
    return None if any(batch + channels) else [*inputs[0][1:], *rows, *columns]


def _concatenation(op: Operator, inputs: list[_Shape], output: _Shape) -> _Sizes:
    if op.options is None:
        return None
    axis = op.options.axis % len(output)
    return [math.prod(output[:axis]), *(math.prod(shape[axis:]) for shape in inputs)]


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
