"""The cost of operators once rewritten, without writing a file or packing weights."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tflm_sparsesep.converters import model_cost, native
from tflm_sparsesep.converters.blob.pack_sparse_conv import pack_conv
from tflm_sparsesep.converters.blob.size import least_bytes
from tflm_sparsesep.converters.cost.choose_layout import (
    Prefer,
    choose_layout,
    most_bytes,
    pays,
)
from tflm_sparsesep.converters.cost.cost import Cost
from tflm_sparsesep.converters.layers.convolution import is_convolution
from tflm_sparsesep.converters.layers.matrix import is_matrix_operator, read_matrix_layer
from tflm_sparsesep.converters.layers.quantized import Unsupported, dense_bytes
from tflm_sparsesep.converters.passes import depthwise_conv, fuse_separable_pair, sparse_conv_2d
from tflm_sparsesep.converters.passes.conversion import Conversion
from tflm_sparsesep.converters.tflite import arena
from tflm_sparsesep.converters.tflite.editor import Operator, Subgraph, Tensor
from tflm_sparsesep.converters.tflite.writer import BUFFER_ALIGNMENT

# Bytes of flatbuffer tables: the offset to the vtable, which tables share, and the fields that
# `writer.write` sets, with the reference from the vector that lists the table.
_BUFFER = 4 + 4 + 4
_TENSOR = 4 + 24
_QUANTIZATION = 12
_OPERATOR = 4 + 24
_OPTIONS = 12
_LENGTH = 4  # of a vector or string
_PACKED_SUFFIX = len("/packed")


@dataclass(frozen=True)
class OperatorCost(Cost):
    """The cost of consecutive operators.

    Attributes:
        arena_bytes: activations and scratch that are alive at once while they run.
    """

    arena_bytes: int


@dataclass(frozen=True)
class _OneCost(Cost):
    """The cost of one operator, with the scratch of its kernel."""

    scratch_bytes: int = 0


def rewritten_cost(
    operators: Sequence[Operator],
    target: str,
    input_zeros: Mapping[str, float],
    prefer: Prefer | None = None,
) -> OperatorCost:
    """Return the cost of consecutive operators as the converter rewrites them.

    Args:
        operators: layers; the first reads the only input, the last writes the only output.
        target: a name of `targets.TARGETS`.
        input_zeros, prefer: see `Conversion`.
    """
    ends = {"inputs": [operators[0].input(0)], "outputs": operators[-1].outputs}
    part = Subgraph("main", operators=operators, **ends)
    conversion = Conversion(target, input_zeros, prefer)
    fused = [d for d in fuse_separable_pair.run(part, conversion) if d.rewritten]
    if fused:  # all that is left is the fused operator
        (decision,) = fused
        scratch = {0: decision.scratch_bytes or 0}
        cost = Cost(stored_bytes(part.operators), decision.sparse_instructions or 0)
        return OperatorCost(cost.bytes, cost.instructions, arena.peak_bytes(part, scratch))
    costs = [_cost(op, conversion) for op in operators]
    scratch = {at: cost.scratch_bytes for at, cost in enumerate(costs)}
    return OperatorCost(
        sum(cost.bytes for cost in costs) + _activation_bytes(operators),
        sum(cost.instructions for cost in costs),
        arena.peak_bytes(part, scratch),
    )


def dense_cost(op: Operator, target: str) -> Cost:
    """Return the bytes of one operator as it stands in a file, and its instructions."""
    return Cost(stored_bytes([op]), model_cost.dense_instructions(op, target))


def stored_bytes(operators: Sequence[Operator]) -> int:
    """Return what consecutive operators add to a file that has their input and output.

    Padding between parts is an estimate: the error is less than `BUFFER_ALIGNMENT` bytes for each
    constant.
    """
    return sum(map(_operator_bytes, operators)) + _activation_bytes(operators)


def _cost(op: Operator, conversion: Conversion) -> _OneCost:
    """Return the cost of one operator, sparse where the converter would rewrite it."""
    plain = dense_cost(op, conversion.target)
    dense = _OneCost(plain.bytes, plain.instructions)
    weights = op.weights.array
    if weights is None:
        return dense
    if least_bytes(weights) >= most_bytes(dense_bytes([op]), conversion.prefer):
        return dense
    for kind in (_depthwise, _convolution, _matrix):
        try:
            found = kind(op, conversion)
        except Unsupported:
            continue
        if found is not None:
            return found
    return dense


def _depthwise(op: Operator, conversion: Conversion) -> _OneCost | None:
    """Return the cost of a depthwise convolution in our kernel; None if it does not win."""
    if not depthwise_conv.is_depthwise(op):
        return None
    found = depthwise_conv.decide_operator(op, conversion)
    if not found.rewritten or found.packed_bytes is None:
        return None
    size = _packed_bytes(op, found.packed_bytes)
    return _OneCost(size, found.sparse_instructions or 0, found.scratch_bytes or 0)


def _matrix(op: Operator, conversion: Conversion) -> _OneCost | None:
    """Return the cost of a SPARSE_FULLY_CONNECTED; None if it does not win."""
    if not is_matrix_operator(op):
        return None
    layer = read_matrix_layer(op)
    plain = Cost(dense_bytes([op]), layer.shape.dense_instructions(conversion.target))
    zeros = conversion.input_zeros.get(op.input(0).name, 0.0)
    best = choose_layout(
        layer.weights,
        conversion.target,
        layer.shape.vectors,
        zeros,
        dense=plain,
        prefer=conversion.prefer,
    )
    if best is None or not pays(best, plain, conversion.prefer):
        return None
    custom = _LENGTH + _aligned(len(layer.options.to_bytes()), BUFFER_ALIGNMENT)
    return _OneCost(_packed_bytes(op, best.bytes) + custom, best.instructions)


def _convolution(op: Operator, conversion: Conversion) -> _OneCost | None:
    """Return the cost of a SPARSE_CONV_2D; None if it does not win."""
    if not is_convolution(op):
        return None
    layer = sparse_conv_2d.read_layer(op)
    plain = Cost(dense_bytes([op]), layer.dense_instructions(conversion.target))
    best = sparse_conv_2d.packed_cost(layer, plain, conversion)
    if best is None or not pays(best, plain, conversion.prefer):
        return None
    blob = pack_conv(layer.window, layer.options, layer.weights, best.layout)
    scratch = native.conv_scratch_bytes(blob, *layer.inputs[1:3], target=conversion.target)
    return _OneCost(_packed_bytes(op, best.bytes), best.instructions, scratch)


def _packed_bytes(op: Operator, blob: int) -> int:
    """Return the bytes of the operator that holds a blob, without custom options."""
    name = len(_short_name(op.weights)) + _PACKED_SUFFIX
    tensor = _TENSOR + _text(name) + _vector(1) + _BUFFER + _data(blob)
    return _OPERATOR + _vector(2) + _vector(1) + tensor


def _operator_bytes(op: Operator) -> int:
    constants = [t for t in op.inputs if t is not None and t.is_constant]
    size = _OPERATOR + _vector(len(op.inputs)) + _vector(len(op.outputs))
    size += _OPTIONS if op.options is not None else 0
    return size + sum(_tensor_bytes(t) + _BUFFER + _data(_bytes_of(t)) for t in constants)


def _activation_bytes(operators: Sequence[Operator]) -> int:
    """Return the bytes of the tensors between operators."""
    return sum(_tensor_bytes(t) for op in operators[:-1] for t in op.outputs)


def _tensor_bytes(tensor: Tensor) -> int:
    size = _TENSOR + _text(len(_short_name(tensor))) + _vector(len(tensor.shape))
    if tensor.quantization is None:
        return size
    quantization, raw = tensor.quantization, tensor.quantization.raw
    ranges = [len(values) for values in (raw.min, raw.max) if values is not None]
    size += sum(4 + _vector(count) for count in ranges) + (4 if quantization.axis else 0)
    points = _LENGTH + 8 * len(quantization.zero_points)
    return size + _QUANTIZATION + _vector(len(quantization.scales)) + points


def _bytes_of(tensor: Tensor) -> int:
    return 0 if tensor.array is None else int(tensor.array.nbytes)


def _short_name(tensor: Tensor) -> str:
    """Return the name as `rewrite.tidy` shortens it."""
    return tensor.name.split(";")[0]


def _vector(count: int) -> int:
    return _LENGTH + 4 * count


def _text(length: int) -> int:
    return _LENGTH + _aligned(length + 1, 4)


def _data(size: int) -> int:
    """Return the bytes of a buffer's aligned data."""
    return BUFFER_ALIGNMENT // 2 + _LENGTH + _aligned(size, 4) if size else 0


def _aligned(size: int, to: int) -> int:
    return math.ceil(size / to) * to
