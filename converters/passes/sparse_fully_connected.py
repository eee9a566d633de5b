"""Layers with mostly zero weights -> SPARSE_FULLY_CONNECTED.

Given:   FULLY_CONNECTED(input, weights[rows, cols], bias[rows]) -> output
   or    CONV_2D(input[n, h, w, cols], weights[rows, 1, 1, cols], bias[rows]), stride 1 -> output
   or    CONV_2D(input[1, 1, w, c], weights[rows, 1, d, c], bias[rows]), VALID -> output
Result:  SPARSE_FULLY_CONNECTED(input, blob uint8[bytes]) -> output

The blob holds weights, bias, and the requantization of each row; zero points, activation limits and
the step between windows go into custom_options (`blob.format.FullyConnectedOptions`). int8 outputs
are bit-exact. A layer stays dense if it would not become both smaller and faster, or if no kernel
computes it; the decision holds the reason.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from tflm_sparsesep.converters import op_names
from tflm_sparsesep.converters.blob.constant_rows import bound_constant_rows
from tflm_sparsesep.converters.blob.pack import pack
from tflm_sparsesep.converters.cost.choose_layout import choose_layout
from tflm_sparsesep.converters.cost.cost import Cost
from tflm_sparsesep.converters.decisions import LayerDecision
from tflm_sparsesep.converters.layers.matrix import (
    MatrixLayer,
    is_matrix_operator,
    read_matrix_layer,
)
from tflm_sparsesep.converters.layers.quantized import Unsupported, dense_bytes
from tflm_sparsesep.converters.passes.conversion import Conversion
from tflm_sparsesep.converters.passes.decide import decide_sparse, keep_dense, packed_operator
from tflm_sparsesep.converters.tflite.editor import Buffer, Operator, Subgraph


@dataclass(frozen=True)
class _Choice:
    """What becomes of one operator: `packed` is its layer and blob, None where it stays dense."""

    op: Operator
    decision: LayerDecision
    packed: tuple[MatrixLayer, bytes] | None = None


def run(subgraph: Subgraph, conversion: Conversion) -> list[LayerDecision]:
    """Rewrite the layers that gain on the target; return a decision for each, in execution order.

    Raises:
        ModelError: a layer has an unknown version, or a shape that no runtime runs.
    """
    operators = [op for op in subgraph.operators if is_matrix_operator(op)]
    choices = _weigh_shared([_choose(op, conversion) for op in operators], conversion)
    buffers: dict[bytes, Buffer] = {}  # equal blobs are stored once
    for choice in choices:
        if choice.packed is not None:
            layer, blob = choice.packed
            packed = packed_operator(
                op_names.SPARSE_FULLY_CONNECTED,
                choice.op,
                buffers.setdefault(blob, Buffer(blob)),
                options=layer.options.to_bytes(),
            )
            subgraph.replace(choice.op, packed)
    return [choice.decision for choice in choices]


def _choose(op: Operator, conversion: Conversion) -> _Choice:
    try:
        layer = read_matrix_layer(op)
    except Unsupported as reason:
        return _keep_dense(op, str(reason))
    layer = replace(layer, weights=bound_constant_rows(layer.weights, layer.options))
    dtype, target = layer.weights.weights.dtype.name, conversion.target
    dense = Cost(dense_bytes([op]), layer.shape.dense_instructions(target, dtype))
    best = choose_layout(
        layer.weights,
        target,
        layer.shape.vectors,
        conversion.input_zeros.get(op.input(0).name, 0.0),
        dense=dense,
        prefer=conversion.prefer,
    )
    if best is None:
        return _keep_dense(op, f"no sparse kernel for {dtype} weights on {target}")
    weights, vectors = layer.weights.weights, layer.shape.vectors
    decision = decide_sparse(op, weights, vectors, best, dense, conversion)
    packed = (layer, pack(layer.weights, best.layout)) if decision.rewritten else None
    return _Choice(op, decision, packed)


def _keep_dense(op: Operator, reason: str) -> _Choice:
    """Return the choice for a layer that no kernel computes."""
    return _Choice(op, keep_dense(op, reason))


def _weigh_shared(choices: Iterable[_Choice], conversion: Conversion) -> list[_Choice]:
    """Return `choices`, layers that share weights dense again where the file would grow.

    Shared weights leave the file only with their last user.
    """
    sharing: dict[Buffer, list[_Choice]] = {}
    for choice in choices:
        buffer = choice.op.inputs[1].buffer if choice.op.inputs[1] is not None else None
        if choice.packed is not None and buffer is not None:
            sharing.setdefault(buffer, []).append(choice)
    reasons = {}
    for buffer, group in sharing.items():
        users = conversion.users.get(buffer, 1)
        packed = sum(len(blob) for blob in {choice.packed[1] for choice in group if choice.packed})
        saved = dense_bytes(choice.op for choice in group) if len(group) == users else 0
        if users > 1 and packed >= saved:
            reasons[buffer] = (
                f"weights with {users} users: packed they would take {packed:,} bytes, "
                f"and save {saved:,}"
            )
    return [_unless_shared(choice, reasons) for choice in choices]


def _unless_shared(choice: _Choice, reasons: dict[Buffer, str]) -> _Choice:
    weights = choice.op.inputs[1]
    reason = None if weights is None or weights.buffer is None else reasons.get(weights.buffer)
    if choice.packed is None or reason is None:
        return choice
    decision = replace(choice.decision, rewritten=False, reason=reason)
    return _Choice(choice.op, decision)
