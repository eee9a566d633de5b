"""Depthwise convolutions -> SEPARABLE_CONV_2D of kind DEPTHWISE.

Given:   DEPTHWISE_CONV_2D(input[n, h, w, c], weights[1, kh, kw, units], bias[units]) -> output
   or    CONV_2D(input[n, h, w, 1], weights[units, kh, kw, 1], bias[units]) -> output
Result:  SEPARABLE_CONV_2D(input, blob uint8[bytes]) -> output

Any kernel, strides, padding, dilation and depth multiplier, int8. The blob holds everything, zero
points and activation limits too. Outputs stay the same bit for bit. A layer is rewritten where the
kernels of the target take fewer instructions than CMSIS-NN's and the blob takes fewer bytes than
weights, bias and their quantization (`choose_layout.pays`). On `host` all stay, as LiteRT's own
kernels are faster. A CONV_2D that is better sparse (`choose_layout.is_better`) is left
to `sparse_conv_2d`.
"""

from __future__ import annotations

import dataclasses
import math

from tflm_sparsesep.converters import native, op_names
from tflm_sparsesep.converters.blob.pack_depthwise import DepthwiseLayer, pack_depthwise
from tflm_sparsesep.converters.cost import (
    choose_layout,
    conv_2d,
    depthwise_conv,
    depthwise_kernels,
)
from tflm_sparsesep.converters.cost.cost import Cost
from tflm_sparsesep.converters.decisions import LayerDecision
from tflm_sparsesep.converters.layers.convolution import is_convolution
from tflm_sparsesep.converters.layers.depthwise import read_depthwise, run_of, shape_of
from tflm_sparsesep.converters.layers.quantized import Unsupported, dense_bytes
from tflm_sparsesep.converters.passes import sparse_conv_2d
from tflm_sparsesep.converters.passes.conversion import Conversion
from tflm_sparsesep.converters.passes.decide import decide, keep_dense, packed_operator
from tflm_sparsesep.converters.targets import get_target
from tflm_sparsesep.converters.tflite.editor import Buffer, BuiltinOperator, Operator, Subgraph


def run(subgraph: Subgraph, conversion: Conversion) -> list[LayerDecision]:
    """Rewrite the layers that gain on the target; return a decision for each, in execution order.

    Raises:
        ModelError: a layer has an unknown version, or a shape that no runtime runs.
    """
    decisions = []
    for op in list(subgraph.operators):
        if is_depthwise(op):
            decision = _rewrite(subgraph, op, conversion)
            # Another pass decides about convolutions that stay.
            if decision.rewritten or not is_convolution(op):
                decisions.append(decision)
    return decisions


def is_depthwise(op: Operator) -> bool:
    """Return True for a DEPTHWISE_CONV_2D, and for a CONV_2D of one channel, which is one, too."""
    return op.builtin_code == BuiltinOperator.DEPTHWISE_CONV_2D or _has_one_channel(op)


def decide_operator(op: Operator, conversion: Conversion) -> LayerDecision:
    """Return the decision about one operator, which stays as it is.

    Raises:
        Unsupported: no kernel computes this layer; the message is the reason.
    """
    layer = _read(op, conversion)
    return _decide(op, layer, pack_depthwise(layer), conversion)


def _has_one_channel(op: Operator) -> bool:
    """Return True for a CONV_2D that is a depthwise convolution, too."""
    inputs = op.inputs[0] if op.inputs else None
    return is_convolution(op) and inputs is not None and inputs.shape[3:] == (1,)


def _rewrite(subgraph: Subgraph, op: Operator, conversion: Conversion) -> LayerDecision:
    try:
        layer = _read(op, conversion)
    except Unsupported as reason:
        return keep_dense(op, str(reason))
    blob = pack_depthwise(layer)
    decision = _decide(op, layer, blob, conversion)
    if decision.rewritten:
        subgraph.replace(op, packed_operator(op_names.SEPARABLE_CONV_2D, op, Buffer(blob)))
    return decision


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
    op: Operator, layer: DepthwiseLayer, blob: bytes, conversion: Conversion
) -> LayerDecision:
    target, weights = conversion.target, layer.weights.weights
    run_here = run_of(layer, op.input(0).shape)
    dense = Cost(dense_bytes([op]), _dense_instructions(op, target))
    ours = Cost(len(blob), depthwise_kernels.instructions(target, run_here))
    unit = get_target(target).cost_unit
    change = f"{dense.instructions:,} -> {ours.instructions:,} {unit} on {target}"
    reason = f"depthwise: {change}"
    sparse = _sparse_cost(op, dense.instructions, conversion)
    is_better = sparse is None or choose_layout.is_better(ours, sparse, conversion.prefer)
    pays = choose_layout.pays(ours, dense, conversion.prefer) and is_better
    if ours.instructions >= dense.instructions or not is_better:
        reason = f"depthwise kernel does not pay: {change}"
    elif not pays:
        reason = f"packed would take {ours.bytes:,} bytes, dense takes {dense.bytes:,}"
    decision = decide(
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
    if not pays:
        return decision
    height, width = op.input(0).shape[1:3]
    return dataclasses.replace(
        decision,
        variant=native.depthwise_variant_name(blob, target=target),
        scratch_bytes=native.depthwise_scratch_bytes(blob, height, width, target=target),
    )


def _sparse_cost(op: Operator, dense: int, conversion: Conversion) -> Cost | None:
    """Return the cost of a CONV_2D that `sparse_conv_2d` would rewrite; None if it would not."""
    if op.builtin_code != BuiltinOperator.CONV_2D:
        return None
    layer = sparse_conv_2d.read_layer(op)
    before = Cost(dense_bytes([op]), dense)
    best = sparse_conv_2d.packed_cost(layer, before, conversion)
    pays = best is not None and choose_layout.pays(best, before, conversion.prefer)
    return best if pays else None


def _dense_instructions(op: Operator, target: str) -> int:
    if op.builtin_code == BuiltinOperator.CONV_2D:
        shapes = op.weights.shape, op.outputs[0].shape
        return conv_2d.dense_instructions(target, *shapes, strides=op.strides)
    return depthwise_conv.dense_instructions(target, shape_of(op))
