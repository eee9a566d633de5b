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

from tflm_sparsesep.converters import native, op_names
from tflm_sparsesep.converters.blob.constant_rows import bound_constant_rows
from tflm_sparsesep.converters.blob.pack import FullyConnectedWeights
from tflm_sparsesep.converters.blob.pack_sparse_conv import pack_conv
from tflm_sparsesep.converters.blob.sparse_conv_format import HEADER
from tflm_sparsesep.converters.cost.choose_layout import choose_conv_layout
from tflm_sparsesep.converters.cost.cost import Cost, PackedCost
from tflm_sparsesep.converters.decisions import LayerDecision
from tflm_sparsesep.converters.layers.convolution import ConvLayer, is_convolution, read_convolution
from tflm_sparsesep.converters.layers.quantized import Unsupported, dense_bytes
from tflm_sparsesep.converters.passes.conversion import Conversion
from tflm_sparsesep.converters.passes.decide import decide_sparse, keep_dense, packed_operator
from tflm_sparsesep.converters.tflite.editor import Buffer, Operator, Subgraph


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
    return dataclasses.replace(layer, weights=bound_constant_rows(layer.weights, layer.options))


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
        return keep_dense(op, str(reason))
    users = conversion.users_of(op)
    if users > 1:
        return keep_dense(op, f"weights with {users} users")
    dense = Cost(dense_bytes([op]), layer.dense_instructions(target))
    best = packed_cost(layer, dense, conversion)
    if best is None:
        return keep_dense(op, f"no sparse kernel for {layer.dtype} weights on {target}")
    decision = decide_sparse(op, layer.weights.weights, layer.pixels, best, dense, conversion)
    if not decision.rewritten:
        return decision
    blob = pack_conv(layer.window, layer.options, layer.weights, best.layout)
    subgraph.replace(op, packed_operator(op_names.SPARSE_CONV_2D, op, Buffer(blob)))
    height, width = layer.inputs[1:3]
    return dataclasses.replace(
        decision,
        variant=native.variant_name(blob[HEADER.itemsize :], target=target),
        scratch_bytes=native.conv_scratch_bytes(blob, height, width, target=target),
    )
