"""Puts a SPARSE_FULLY_CONNECTED in the place of an operator, if that pays."""

from __future__ import annotations

import math

import numpy as np

from tflm_sparsesep.converters import op_names
from tflm_sparsesep.converters.blob.format import FullyConnectedOptions
from tflm_sparsesep.converters.cost.choose_layout import (
    DenseCost,
    choose_layout,
    reason_to_stay_dense,
)
from tflm_sparsesep.converters.decisions import LayerDecision
from tflm_sparsesep.converters.layers.quantized import Layer, dense_bytes, layer_name, tensor_of
from tflm_sparsesep.converters.passes.conversion import Conversion
from tflm_sparsesep.converters.tflite.editor import Operator, Subgraph, Tensor


def stays(op: Operator, reason: str) -> LayerDecision:
    """The decision for a layer of a kind that no kernel covers."""
    return LayerDecision(layer_name(op), op.op_name, rewritten=False, reason=reason)


def rewrite_if_it_pays(
    subgraph: Subgraph,
    op: Operator,
    layer: Layer,
    options: FullyConnectedOptions,
    conversion: Conversion,
    *,
    dense_instructions: int,
) -> LayerDecision:
    """Replaces `op`, which computes `layer`, where packed weights win in time and flash."""
    rows, cols = layer.weights.shape
    inputs, target = tensor_of(op.inputs[0]), conversion.target
    batch = options.windows(math.prod(inputs.shape), cols)
    zeros = float(1.0 - np.count_nonzero(layer.weights) / layer.weights.size)
    input_zeros = conversion.input_zeros.get(inputs.name, 0.0)
    dense = DenseCost(dense_instructions, dense_bytes(op))
    best = choose_layout(layer, target, batch, input_zeros, dense=dense, prefer=conversion.prefer)
    if best is None:
        return stays(op, f"no sparse kernel for {layer.weights.dtype} weights on {target}")
    stay = reason_to_stay_dense(best, dense, zeros=zeros, target=target)
    decision = LayerDecision(
        name=layer_name(op),
        op=op.op_name,
        rewritten=stay is None,
        reason=stay or f"{zeros:.1%} zeros: sparse wins on {target}",
        rows=rows,
        cols=cols,
        batch=batch,
        zeros=zeros,
        pattern=best.layout.pattern,
        index=best.layout.index,
        dense_bytes=dense.bytes,
        packed_bytes=len(best.blob),
        dense_instructions=dense.instructions,
        sparse_instructions=best.instructions,
    )
    if stay is None:
        _replace(subgraph, op, best.blob, options)
    return decision


def _replace(subgraph: Subgraph, op: Operator, blob: bytes, options: FullyConnectedOptions) -> None:
    weights = tensor_of(op.inputs[1])
    packed = Tensor.constant(f"{weights.name}/packed", np.frombuffer(blob, np.uint8))
    sparse = Operator.custom(
        op_names.SPARSE_FULLY_CONNECTED,
        [op.inputs[0], packed],
        op.outputs,
        custom_options=options.to_bytes(),
    )
    subgraph.replace(op, sparse)
