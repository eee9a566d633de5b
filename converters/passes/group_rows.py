"""Orders the units between two FULLY_CONNECTED so that blocks of several rows line up.

Given:   FULLY_CONNECTED(input, weights[rows, cols], bias[rows]) -> hidden
         FULLY_CONNECTED(hidden, weights[units, rows], bias[units]) -> output
Result:  FULLY_CONNECTED(input, weights[order], bias[order]) -> hidden
         FULLY_CONNECTED(hidden, weights[:, order], bias[units]) -> output

`hidden` holds the same numbers in another order and nothing else reads it; int8 sums do not depend
on the order of their terms, so outputs are the same bit for bit. Scales and zero points of single
rows move with them. Runs before the passes that pack layers, and only permutes where those will
then store the first layer in blocks of several rows and both layers together take fewer
instructions, or bytes where flash is preferred, than the best that they can do without.
"""

from __future__ import annotations

import copy
import dataclasses
import math

import numpy as np

from tflm_sparsesep.converters.blob.layouts import LAYOUTS
from tflm_sparsesep.converters.blob.pack import FullyConnectedWeights, can_pack
from tflm_sparsesep.converters.cost import fully_connected
from tflm_sparsesep.converters.cost.choose_layout import DenseCost, choose_layout
from tflm_sparsesep.converters.decisions import LayerDecision
from tflm_sparsesep.converters.layers.quantized import (
    Unsupported,
    check_operator,
    dense_bytes,
    tensor_of,
)
from tflm_sparsesep.converters.passes.conversion import Conversion
from tflm_sparsesep.converters.passes.row_grouping import Order, group_rows
from tflm_sparsesep.converters.passes.sparse_fully_connected import MAX_VERSION, read_layer
from tflm_sparsesep.converters.tflite.editor import BuiltinOperator, Operator, Subgraph, Tensor


def run(subgraph: Subgraph, conversion: Conversion) -> list[LayerDecision]:
    """Permutes what pays on the target, in execution order; decisions are left to other passes.

    Raises ModelError for a layer of an unknown version, or of a shape that no runtime executes.
    """
    for op in subgraph.operators:
        consumer = _only_reader(subgraph, op)
        if consumer is None:
            continue
        first, second = _read_layer(op), _read_layer(consumer)
        if first is None or second is None or len(first.weights) != second.weights.shape[1]:
            continue
        order = _best_order(op, first, consumer, second, conversion)
        if order is not None:
            _permute(op, consumer, order)
    return []


def _only_reader(subgraph: Subgraph, op: Operator) -> Operator | None:
    """The FULLY_CONNECTED behind the FULLY_CONNECTED `op`, if nothing else meets what is between.

    Only an activation with one scale can be permuted.
    """
    if op.builtin_code != BuiltinOperator.FULLY_CONNECTED or len(op.outputs) != 1:
        return None
    hidden = op.outputs[0]
    if hidden.is_variable or any(t is hidden for t in (*subgraph.inputs, *subgraph.outputs)):
        return None
    users = [user for user in subgraph.operators for t in user.tensors if t is hidden]
    if len(users) != 2 or users[0] is not op or users[1].inputs[:1] != [hidden]:
        return None
    per_tensor = hidden.quantization is not None and len(hidden.quantization.scales) == 1
    same_kind = users[1].builtin_code == BuiltinOperator.FULLY_CONNECTED
    return users[1] if per_tensor and same_kind and users[1] is not op else None


def _read_layer(op: Operator) -> FullyConnectedWeights | None:
    """The int8 layer of `op`; None for others, whose sums may depend on the order."""
    check_operator(op, weight_rank=2, max_version=MAX_VERSION)
    try:
        layer, _ = read_layer(op)
    except Unsupported:
        return None
    return layer if isinstance(layer, FullyConnectedWeights) else None


def _best_order(
    op: Operator,
    first: FullyConnectedWeights,
    consumer: Operator,
    second: FullyConnectedWeights,
    conversion: Conversion,
) -> Order | None:
    """The order of the rows of `first` that saves most; None where none saves anything."""
    orders = [group_rows(first.weights, b) for b in _blocks_of_rows(first, conversion.target)]
    orders = [order for order in orders if np.any(np.diff(order) != 1)]
    if not orders:
        return None
    plain, _ = _estimate(op, first, conversion)
    least, best = plain + _estimate(consumer, second, conversion)[0], None
    for order in orders:
        cost, block_rows = _estimate(op, _with_rows(first, order), conversion)
        if block_rows == 1 or cost >= plain:
            continue
        permuted = dataclasses.replace(second, weights=second.weights[:, order])
        total = cost + _estimate(consumer, permuted, conversion)[0]
        if total < least:
            least, best = total, order
    return best


def _blocks_of_rows(layer: FullyConnectedWeights, target: str) -> list[tuple[int, int]]:
    """Blocks (rows, cols) of more than one row that the target's kernels take."""
    usable = [x for x in LAYOUTS if fully_connected.is_measured(target, x) and can_pack(layer, x)]
    blocks = dict.fromkeys((x.block_rows, x.block_cols) for x in usable)
    return [block for block in blocks if block[0] > 1]


def _with_rows(layer: FullyConnectedWeights, order: Order) -> FullyConnectedWeights:
    names = ("weights", "bias", "multiplier", "shift")
    return dataclasses.replace(layer, **{name: getattr(layer, name)[order] for name in names})


def _estimate(
    op: Operator, layer: FullyConnectedWeights, conversion: Conversion
) -> tuple[int, int]:
    """What `passes/sparse_fully_connected` would make of `op` if it computed `layer`.

    Its instructions, its bytes where flash is preferred, and how many rows its blocks span (1 where
    it stays dense).
    """
    rows, cols = layer.weights.shape
    inputs, target = tensor_of(op.inputs[0]), conversion.target
    batch = math.prod(inputs.shape) // cols
    dense = DenseCost(
        fully_connected.dense_fully_connected(target, rows, cols, batch), dense_bytes(op)
    )
    zeros = conversion.input_zeros.get(inputs.name, 0.0)
    prefer = conversion.prefer
    best = choose_layout(layer, target, batch, zeros, dense=dense, prefer=prefer)
    if best is None or not best.beats(dense):
        return dense.bytes if prefer == "flash" else dense.instructions, 1
    cost = len(best.blob) if prefer == "flash" else best.instructions
    return cost, best.layout.block_rows


def _permute(op: Operator, consumer: Operator, order: Order) -> None:
    """Gives both operators new constants; others may share the old ones."""
    op.inputs[1:3] = [t and _with_ordered_rows(t, order) for t in op.inputs[1:3]]
    weights = copy.copy(tensor_of(consumer.inputs[1]))
    assert weights.array is not None  # read_layer has read it
    weights.array = weights.array[:, order]
    consumer.inputs[1] = weights


def _with_ordered_rows(tensor: Tensor, order: Order) -> Tensor:
    """A copy of weights [rows, cols] or a bias [rows], with what is known of each row."""
    permuted, array = copy.copy(tensor), tensor.array
    assert array is not None  # read_layer has read it
    permuted.array = array.reshape(len(order), -1)[order].reshape(array.shape)
    if tensor.quantization is not None:
        permuted.quantization = copy.copy(tensor.quantization)
        permuted.quantization.raw = copy.copy(tensor.quantization.raw)
        for field in ("scale", "zeroPoint", "min", "max"):
            values = getattr(tensor.quantization.raw, field)
            if values is not None and len(values) == len(order):
                setattr(permuted.quantization.raw, field, np.asarray(values)[order])
    return permuted
