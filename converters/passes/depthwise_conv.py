"""Depthwise convolutions -> SEPARABLE_CONV_2D of kind DEPTHWISE.

Given:   DEPTHWISE_CONV_2D(input[n, h, w, c], weights[1, kh, kw, units], bias[units]) -> output
Result:  SEPARABLE_CONV_2D(input, blob uint8[bytes]) -> output

Any kernel, strides, padding, dilation and depth multiplier, int8. The blob holds everything, zero
points and activation limits too. Outputs stay the same bit for bit. A layer is rewritten where the
kernels of the target take fewer instructions than CMSIS-NN's: its weights are few, and a blob is
hardly larger than weights, bias and scales. With prefer="flash" it must not be larger. On `host`
all stay: the LiteRT delegate does not run the operator.
"""

from __future__ import annotations

import dataclasses
import math

from tflm_sparsesep.converters import native, op_names
from tflm_sparsesep.converters.blob.pack_depthwise import DepthwiseLayer, pack_depthwise
from tflm_sparsesep.converters.cost import depthwise_conv, depthwise_kernels
from tflm_sparsesep.converters.cost.cost import Cost
from tflm_sparsesep.converters.decisions import LayerDecision
from tflm_sparsesep.converters.layers.depthwise import read_depthwise, run_of, shape_of
from tflm_sparsesep.converters.layers.quantized import Unsupported, dense_bytes
from tflm_sparsesep.converters.passes.conversion import Conversion
from tflm_sparsesep.converters.passes.decide import decide, keep_dense, packed_operator
from tflm_sparsesep.converters.targets import get_target
from tflm_sparsesep.converters.tflite.editor import Buffer, BuiltinOperator, Operator, Subgraph


def run(subgraph: Subgraph, conversion: Conversion) -> list[LayerDecision]:
    """Rewrite the layers that gain on the target; return a decision for each, in execution order.

    Raises:
        ModelError: a layer has an unknown version, or a shape that no runtime runs.
    """
    operators = [
        op for op in subgraph.operators if op.builtin_code == BuiltinOperator.DEPTHWISE_CONV_2D
    ]
    return [_rewrite(subgraph, op, conversion) for op in operators]


def _rewrite(subgraph: Subgraph, op: Operator, conversion: Conversion) -> LayerDecision:
    try:
        layer = _read(op, conversion)
    except Unsupported as reason:
        return keep_dense(op, str(reason))
    blob = pack_depthwise(layer)
    decision = _decide(op, layer, len(blob), conversion)
    if not decision.rewritten:
        return decision
    subgraph.replace(op, packed_operator(op_names.SEPARABLE_CONV_2D, op, Buffer(blob)))
    height, width = op.input(0).shape[1:3]
    target = conversion.target
    return dataclasses.replace(
        decision,
        variant=native.depthwise_variant_name(blob, target=target),
        scratch_bytes=native.depthwise_scratch_bytes(blob, height, width, target=target),
    )


def _read(op: Operator, conversion: Conversion) -> DepthwiseLayer:
    """Return the layer. Raises Unsupported where it cannot be rewritten for the target."""
    layer = read_depthwise(op)
    if conversion.target == "host":
        raise Unsupported("no depthwise kernel in LiteRT that is faster than its own")
    users = conversion.users_of(op)
    if users > 1:
        raise Unsupported(f"weights with {users} users")
    return layer


def _decide(
    op: Operator, layer: DepthwiseLayer, packed_bytes: int, conversion: Conversion
) -> LayerDecision:
    target, weights = conversion.target, layer.weights.weights
    shape, run_here = shape_of(op), run_of(layer, op.input(0).shape)
    dense = Cost(dense_bytes([op]), depthwise_conv.dense_instructions(target, shape))
    ours = Cost(packed_bytes, depthwise_kernels.instructions(target, run_here))
    unit = get_target(target).cost_unit
    change = f"{dense.instructions:,} -> {ours.instructions:,} {unit} on {target}"
    reason = f"depthwise: {change}"
    pays = ours.instructions < dense.instructions
    if not pays:
        reason = f"depthwise kernel does not pay: {change}"
    elif conversion.prefer == "flash" and ours.bytes > dense.bytes:
        pays = False
        reason = f"packed would take {ours.bytes:,} bytes, dense takes {dense.bytes:,}"
    return decide(
        op,
        weights,
        math.prod(op.outputs[0].shape[:3]),
        ours,
        dense,
        rewritten=pays,
        reason=reason,
        pattern="x".join(map(str, layer.window.kernel)),
        index="depthwise",
    )
