"""Convolutions with mostly zero weights -> SPARSE_CONV_2D.

Given:   CONV_2D(input[n, h, w, c], weights[units, kh, kw, c], bias[units]) -> output
Result:  SPARSE_CONV_2D(input, blob uint8[bytes]) -> output

Any kernel, strides, padding and dilation, except the convolutions that `sparse_fully_connected`
takes. The blob holds everything, zero points and activation limits too. int8 outputs stay the same
bit for bit. A layer that would not get both smaller and faster stays dense, and so does one that no
kernel computes; the decision says why.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from tflm_sparsesep.converters import native, op_names
from tflm_sparsesep.converters.blob.constant_rows import bound_constant_rows
from tflm_sparsesep.converters.blob.pack import FullyConnectedWeights
from tflm_sparsesep.converters.blob.pack_sparse_conv import pack_conv
from tflm_sparsesep.converters.blob.sparse_conv_format import HEADER
from tflm_sparsesep.converters.cost.choose_layout import choose_conv_layout, reason_to_stay_dense
from tflm_sparsesep.converters.cost.cost import Cost, PackedCost
from tflm_sparsesep.converters.decisions import LayerDecision
from tflm_sparsesep.converters.layers.convolution import ConvLayer, is_convolution, read_convolution
from tflm_sparsesep.converters.layers.quantized import Unsupported, dense_bytes, layer_name
from tflm_sparsesep.converters.passes.conversion import Conversion
from tflm_sparsesep.converters.tflite.editor import Operator, Subgraph, Tensor


def run(subgraph: Subgraph, conversion: Conversion) -> list[LayerDecision]:
    """Rewrite the layers that gain on the target; return a decision for each, in execution order.

    Raises:
        ModelError: a layer has an unknown version, or a shape that no runtime runs.
    """
    operators = [op for op in subgraph.operators if is_convolution(op)]
    return [_rewrite(subgraph, op, conversion) for op in operators]


def read_layer(op: Operator) -> ConvLayer:
    """Return the layer that a CONV_2D computes, as SPARSE_CONV_2D packs it.

    Raises:
        Unsupported: no kernel computes this layer; the message is the reason.
        ModelError: as for `read_convolution`.
    """
    layer = read_convolution(op)
    if not isinstance(layer.weights, FullyConnectedWeights):
        return layer
    return dataclasses.replace(layer, weights=bound_constant_rows(layer.weights))


def packed_cost(layer: ConvLayer, dense: Cost, conversion: Conversion) -> PackedCost | None:
    """Return the best layout of a layer and its cost; None if no kernel takes such weights."""
    return choose_conv_layout(
        layer.weights,
        layer.window,
        layer.inputs,
        conversion.target,
        dense=dense,
        prefer=conversion.prefer,
    )


def _rewrite(subgraph: Subgraph, op: Operator, conversion: Conversion) -> LayerDecision:
    target = conversion.target
    try:
        layer = read_layer(op)
    except Unsupported as reason:
        return _keep_dense(op, str(reason))
    users = _users(op, conversion)
    if users > 1:
        return _keep_dense(op, f"weights with {users} users")
    dense = Cost(dense_bytes([op]), layer.dense_instructions(target))
    best = packed_cost(layer, dense, conversion)
    if best is None:
        return _keep_dense(op, f"no sparse kernel for {layer.dtype} weights on {target}")
    decision = _decide(op, layer, best, dense, conversion)
    if not decision.rewritten:
        return decision
    blob = pack_conv(layer.window, layer.options, layer.weights, best.layout)
    _replace(subgraph, op, blob)
    height, width = layer.inputs[1:3]
    return dataclasses.replace(
        decision,
        variant=native.variant_name(blob[HEADER.itemsize :], target=target),
        scratch_bytes=native.conv_scratch_bytes(blob, height, width, target=target),
    )


def _decide(
    op: Operator, layer: ConvLayer, best: PackedCost, dense: Cost, conversion: Conversion
) -> LayerDecision:
    weights = layer.weights.weights
    zeros = float(1.0 - np.count_nonzero(weights) / weights.size)
    target = conversion.target
    stay = reason_to_stay_dense(best, dense, zeros=zeros, target=target, prefer=conversion.prefer)
    return LayerDecision(
        name=layer_name(op),
        op=op.op_name,
        rewritten=stay is None,
        reason=stay or f"{zeros:.1%} zeros: sparse wins on {target}",
        rows=layer.units,
        cols=layer.window.cols,
        batch=layer.pixels,
        zeros=zeros,
        pattern=best.layout.pattern,
        index=best.layout.index,
        dense_bytes=dense.bytes,
        packed_bytes=best.bytes,
        dense_instructions=dense.instructions,
        sparse_instructions=best.instructions,
    )


def _users(op: Operator, conversion: Conversion) -> int:
    """Return the number of references to the weights: only their last user removes them."""
    buffer = op.weights.buffer
    return 1 if buffer is None else conversion.users.get(buffer, 1)


def _keep_dense(op: Operator, reason: str) -> LayerDecision:
    """Return the decision for a layer that no kernel computes."""
    return LayerDecision(layer_name(op), op.op_name, rewritten=False, reason=reason)


def _replace(subgraph: Subgraph, op: Operator, blob: bytes) -> None:
    packed = Tensor.constant(f"{op.weights.name}/packed", np.frombuffer(blob, np.uint8))
    sparse = Operator.custom(op_names.SPARSE_CONV_2D, [op.inputs[0], packed], op.outputs)
    subgraph.replace(op, sparse)
