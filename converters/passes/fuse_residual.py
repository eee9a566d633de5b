"""A SPARSE_CONV_2D followed by an ADD -> SPARSE_CONV_2D with a residual.

Given:   SPARSE_CONV_2D(input, blob) -> intermediate
         ADD(intermediate, other) -> output, or with its inputs swapped
Result:  SPARSE_CONV_2D(input, blob, other) -> output

The sum takes the place of the convolution's outputs. It is bit-exact, a fused activation included.
The pass takes int8 sums of two feature maps if no other operator reads the convolution's outputs,
and if the sum gets faster and the peak of activations does not grow.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import numpy as np

from tflm_sparsesep.converters import native, op_names
from tflm_sparsesep.converters.blob.pack_sparse_conv import with_residual
from tflm_sparsesep.converters.cost import other_operators, residual
from tflm_sparsesep.converters.decisions import LayerDecision
from tflm_sparsesep.converters.layers import other_operator
from tflm_sparsesep.converters.layers.packed import blob_of
from tflm_sparsesep.converters.layers.quantized import Unsupported, layer_name
from tflm_sparsesep.converters.layers.residual import read_residual
from tflm_sparsesep.converters.passes.conversion import Conversion
from tflm_sparsesep.converters.targets import get_target
from tflm_sparsesep.converters.tflite import arena
from tflm_sparsesep.converters.tflite.editor import (
    BuiltinOperator,
    Operator,
    Subgraph,
    Tensor,
)


def run(
    subgraph: Subgraph, decisions: Sequence[LayerDecision], conversion: Conversion
) -> list[LayerDecision]:
    """Fuse the sums that gain; return the decisions with those of fused layers replaced.

    Args:
        subgraph: the graph after the passes that make sparse convolutions.
        decisions: of these passes.
        conversion: the target and the preference.
    """
    if conversion.target == "host":  # LiteRT's own kernel is faster
        return list(decisions)
    decided = {decision.name: decision for decision in decisions}
    for add in [op for op in subgraph.operators if op.builtin_code == BuiltinOperator.ADD]:
        conv = _last_convolution(subgraph, add)
        decision = None if conv is None else decided.get(layer_name(conv))
        if conv is not None and decision is not None:
            fused = _fuse_if_it_gains(subgraph, conv, add, decision, conversion.target)
            if fused is not None:
                del decided[decision.name]
                decided[fused.name] = fused
    return list(decided.values())


def _last_convolution(subgraph: Subgraph, add: Operator) -> Operator | None:
    """Return the last SPARSE_CONV_2D whose outputs only `add` reads; None if there is none."""
    uses = subgraph.uses()
    for op in reversed(subgraph.operators):
        is_plain = op.custom_code == op_names.SPARSE_CONV_2D and len(op.inputs) == 2
        if is_plain and subgraph.only_reader(op.outputs[0], uses) is add:
            return op
    return None


def _fuse_if_it_gains(
    subgraph: Subgraph, conv: Operator, add: Operator, decision: LayerDecision, target: str
) -> LayerDecision | None:
    dense = other_operators.instructions(target, other_operator.read(add))
    added = residual.instructions(target, math.prod(add.outputs[0].shape))
    if dense is None or added >= dense:
        return None
    try:
        numbers, other = read_residual(add, conv.outputs[0])
    except Unsupported:
        return None
    blob = with_residual(blob_of(conv), numbers)
    fused = _fused(conv, add, blob, other)
    graph = _with_fused(subgraph, conv, add, fused)
    if arena.peak_bytes(graph) > arena.peak_bytes(subgraph):
        return None
    subgraph.operators = graph.operators
    unit = get_target(target).cost_unit
    return dataclasses.replace(
        decision,
        name=layer_name(add),
        op=op_names.SPARSE_CONV_2D,
        reason=f"{decision.reason}; adds a residual: {dense:,} -> {added:,} {unit}",
        dense_instructions=(decision.dense_instructions or 0) + dense,
        sparse_instructions=(decision.sparse_instructions or 0) + added,
        scratch_bytes=native.conv_scratch_bytes(blob, *conv.input(0).shape[1:3], target=target),
    )


def _fused(conv: Operator, add: Operator, blob: bytes, other: Tensor) -> Operator:
    packed = Tensor.constant(conv.weights.name, np.frombuffer(blob, np.uint8))
    inputs = [conv.input(0), packed, other]
    return Operator.custom(op_names.SPARSE_CONV_2D, inputs, add.outputs)


def _with_fused(subgraph: Subgraph, conv: Operator, add: Operator, fused: Operator) -> Subgraph:
    """Return a copy of the graph with `fused` in the place of `add`, and without `conv`."""
    kept = [op for op in subgraph.operators if op is not conv]
    return Subgraph(
        tensors=subgraph.tensors,
        operators=[fused if op is add else op for op in kept],
        inputs=subgraph.inputs,
        outputs=subgraph.outputs,
    )
