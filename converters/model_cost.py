"""The cost of a rewritten model on a target: instructions, and bytes of activations."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from tflm_sparsesep.converters import op_names
from tflm_sparsesep.converters.blob.separable_format import Padding
from tflm_sparsesep.converters.cost import (
    conv_2d,
    depthwise_conv,
    fully_connected,
    other_operators,
)
from tflm_sparsesep.converters.decisions import LayerDecision
from tflm_sparsesep.converters.layers import depthwise as depthwise_layer
from tflm_sparsesep.converters.layers import other_operator
from tflm_sparsesep.converters.layers.quantized import (
    Unsupported,
    dense_bytes,
    layer_name,
)
from tflm_sparsesep.converters.tflite import arena
from tflm_sparsesep.converters.tflite.editor import BuiltinOperator, Model, Operator, TensorType

_COUNTED = (
    BuiltinOperator.FULLY_CONNECTED,
    BuiltinOperator.CONV_2D,
    BuiltinOperator.DEPTHWISE_CONV_2D,
)

_IMAGE_RANK = 4


def instructions(model: Model, layers: Sequence[LayerDecision], target: str) -> int:
    """Return the estimated instructions of a rewritten model for one inference.

    Packed layers count as decided, all other operators as in TFLM on CMSIS-NN. Those that
    `uncounted` names are not in the sum.
    """
    return sum(count or 0 for _, count in _counts(model, layers, target))


def uncounted(model: Model, layers: Sequence[LayerDecision], target: str) -> list[str]:
    """Return the names of the operators whose instructions are not known, each once."""
    unknown = (op.op_name for op, count in _counts(model, layers, target) if count is None)
    return list(dict.fromkeys(unknown))


def _counts(
    model: Model, layers: Sequence[LayerDecision], target: str
) -> list[tuple[Operator, int | None]]:
    packed = {x.name: x.sparse_instructions for x in layers if x.rewritten}
    return [(op, _count(op, packed, target)) for op in model.subgraphs[0].operators]


def _count(op: Operator, packed: Mapping[str, int | None], target: str) -> int | None:
    if op.op_name in op_names.ALL:
        return packed.get(layer_name(op))
    if op.builtin_code in _COUNTED:
        return dense_instructions(op, target) or None
    return other_operators.instructions(target, other_operator.read(op))


def dense_instructions(op: Operator, target: str) -> int:
    """Return the instructions of a FULLY_CONNECTED, CONV_2D or DEPTHWISE_CONV_2D.

    0 for others, and for convolutions that are not int8.

    Operators without weights have costs of their own (`instructions`).
    """
    if op.builtin_code not in _COUNTED or op.inputs[1] is None:
        return 0
    is_convolution = op.builtin_code != BuiltinOperator.FULLY_CONNECTED
    if is_convolution and op.input(0).type != TensorType.INT8:  # no fit
        return 0
    if op.builtin_code == BuiltinOperator.DEPTHWISE_CONV_2D:
        try:
            return depthwise_conv.dense_instructions(target, depthwise_layer.shape_of(op))
        except Unsupported:  # no runtime runs it
            return 0
    weights = op.weights
    if op.builtin_code == BuiltinOperator.FULLY_CONNECTED:
        rows, cols = weights.shape
        batch = math.prod(op.input(0).shape) // cols
        is_float = weights.type == TensorType.FLOAT32
        dtype = "float32" if is_float else "int8"
        rank = len(op.outputs[0].shape)
        return fully_connected.dense_instructions(target, rows, cols, batch, dtype=dtype, rank=rank)
    output, strides = op.outputs[0].shape, op.strides
    if len(output) != _IMAGE_RANK:  # no runtime runs it
        return 0
    same = op.options is not None and op.options.padding == Padding.SAME
    edges = conv_2d.edge_windows(op.input(0).shape[2], weights.shape[2], strides[1], same=same)
    return conv_2d.dense_instructions(target, weights.shape, output, strides=strides, edges=edges)


def arena_bytes(model: Model, layers: Sequence[LayerDecision]) -> int:
    """Return the peak of activations and scratch; TFLM's planner needs at least this arena."""
    return max(arena_by_operator(model, layers), default=0)


def arena_by_operator(model: Model, layers: Sequence[LayerDecision]) -> list[int]:
    """Return the bytes of activations and scratch during each operator of the first subgraph."""
    main = model.subgraphs[0]
    scratch = {layer.name: layer.scratch_bytes or 0 for layer in layers if layer.rewritten}
    names = {i: layer_name(op) for i, op in enumerate(main.operators)}
    return arena.alive_bytes(main, {i: scratch.get(name, 0) for i, name in names.items()})


def layer_instructions(
    model: Model, layers: Sequence[LayerDecision], target: str
) -> dict[str, int]:
    """Return the instructions of the layers with weights, by name."""
    found = {layer_name(op): dense_instructions(op, target) for op in model.subgraphs[0].operators}
    return found | {x.name: x.sparse_instructions or 0 for x in layers if x.rewritten}


def layer_bytes(model: Model, layers: Sequence[LayerDecision], target: str) -> dict[str, int]:
    """Return the bytes of weights and bias, by operator."""
    return {layer_name(op): dense_bytes([op]) for op in model.subgraphs[0].operators}
