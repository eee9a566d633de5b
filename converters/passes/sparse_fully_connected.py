"""Layers with mostly zero weights -> SPARSE_FULLY_CONNECTED.

Given:   FULLY_CONNECTED(input, weights[rows, cols], bias[rows]) -> output
   or    CONV_2D(input[n, h, w, cols], weights[rows, 1, 1, cols], bias[rows]), stride 1 -> output
   or    CONV_2D(input[1, 1, w, c], weights[rows, 1, d, c], bias[rows]), VALID -> output
Result:  SPARSE_FULLY_CONNECTED(input, blob uint8[bytes]) -> output

The blob holds weights, bias, and the requantization of each row; zero points, activation limits and
the step between windows go into custom_options (`blob.format.FullyConnectedOptions`). int8 outputs
stay the same bit for bit. A layer that would not get both smaller and faster stays dense, and so
does one that no kernel computes; the decision says why.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from tflm_sparsesep.converters import op_names
from tflm_sparsesep.converters.blob.constant_rows import bound_constant_rows
from tflm_sparsesep.converters.blob.pack import pack
from tflm_sparsesep.converters.cost.choose_layout import choose_layout, reason_to_stay_dense
from tflm_sparsesep.converters.cost.cost import Cost
from tflm_sparsesep.converters.decisions import LayerDecision
from tflm_sparsesep.converters.layers.matrix import (
    MatrixLayer,
    is_matrix_operator,
    read_matrix_layer,
)
from tflm_sparsesep.converters.layers.quantized import Unsupported, dense_bytes, layer_name
from tflm_sparsesep.converters.passes.conversion import Conversion
from tflm_sparsesep.converters.tflite.editor import Operator, Subgraph, Tensor


def run(subgraph: Subgraph, conversion: Conversion) -> list[LayerDecision]:
    """Rewrite what pays on the target; return a decision for each layer, in execution order.

    Raises ModelError for a layer of an unknown version, or of a shape that no runtime executes.
    """
    operators = [op for op in subgraph.operators if is_matrix_operator(op)]
    return [_rewrite(subgraph, op, conversion) for op in operators]


def _rewrite(subgraph: Subgraph, op: Operator, conversion: Conversion) -> LayerDecision:
    try:
        layer = _bounded(read_matrix_layer(op))
    except Unsupported as reason:
        return _keep_dense(op, str(reason))
    dtype, target = layer.weights.weights.dtype.name, conversion.target
    if layer.shape.taps and dtype != "int8":
        return _keep_dense(op, "float32 convolution: no dense figure to compare a sparse one with")
    dense = Cost(dense_bytes(op), layer.shape.dense_instructions(target, dtype))
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
    weights = layer.weights.weights
    zeros = float(1.0 - np.count_nonzero(weights) / weights.size)
    stay = reason_to_stay_dense(best, dense, zeros=zeros, target=target)
    decision = LayerDecision(
        name=layer_name(op),
        op=op.op_name,
        rewritten=stay is None,
        reason=stay or f"{zeros:.1%} zeros: sparse wins on {target}",
        rows=layer.shape.rows,
        cols=layer.shape.cols,
        batch=layer.shape.vectors,
        zeros=zeros,
        pattern=best.layout.pattern,
        index=best.layout.index,
        dense_bytes=dense.bytes,
        packed_bytes=best.bytes,
        dense_instructions=dense.instructions,
        sparse_instructions=best.instructions,
    )
    if stay is None:
        _replace(subgraph, op, layer, pack(layer.weights, best.layout))
    return decision


def _bounded(layer: MatrixLayer) -> MatrixLayer:
    """Return the same layer without the constant rows that slow requantization down."""
    return dataclasses.replace(layer, weights=bound_constant_rows(layer.weights))


def _keep_dense(op: Operator, reason: str) -> LayerDecision:
    """Return the decision for a layer that no kernel computes."""
    return LayerDecision(layer_name(op), op.op_name, rewritten=False, reason=reason)


def _replace(subgraph: Subgraph, op: Operator, layer: MatrixLayer, blob: bytes) -> None:
    packed = Tensor.constant(f"{op.weights.name}/packed", np.frombuffer(blob, np.uint8))
    sparse = Operator.custom(
        op_names.SPARSE_FULLY_CONNECTED,
        [op.inputs[0], packed],
        op.outputs,
        custom_options=layer.options.to_bytes(),
    )
    subgraph.replace(op, sparse)
