"""A d x 1 CONV_2D followed by a 1 x e CONV_2D -> SEPARABLE_CONV_2D.

Given:   CONV_2D(input, weights[middle, d, 1, in], bias), stride s x 1 -> intermediate
         CONV_2D(intermediate, weights[out, 1, e, middle], bias), stride 1 x t -> output
Result:  SEPARABLE_CONV_2D(input, blob uint8[bytes]) -> output

The intermediate feature map is never materialized: the kernel keeps one row of it. Outputs are
bit-exact, including fused activations of both convolutions. The pass rewrites int8 pairs without
dilation if no other operator reads the intermediate feature map, and if the result needs fewer
instructions, or reduces the activation peak by a larger factor than it adds instructions. Where it
saves instructions the peak may grow, because input and output of the pair are alive at once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tflm_sparsesep.converters import op_names
from tflm_sparsesep.converters.blob.pack import FullyConnectedWeights
from tflm_sparsesep.converters.blob.pack_separable import ConvStage, SeparableConv, order_for, pack
from tflm_sparsesep.converters.blob.separable_format import MAX_KERNEL, Padding
from tflm_sparsesep.converters.cost import separable_conv
from tflm_sparsesep.converters.decisions import LayerDecision
from tflm_sparsesep.converters.layers.quantized import (
    Unsupported,
    check_operator,
    dense_bytes,
    layer_name,
    read_numbers,
    read_weights,
)
from tflm_sparsesep.converters.passes.conversion import Conversion
from tflm_sparsesep.converters.passes.decide import packed_operator
from tflm_sparsesep.converters.targets import get_target
from tflm_sparsesep.converters.tflite import arena
from tflm_sparsesep.converters.tflite.editor import (
    Buffer,
    BuiltinOperator,
    Operator,
    Subgraph,
    Tensor,
)


@dataclass(frozen=True)
class Pair:
    """Two convolutions, the second of which alone reads the output of the first.

    Attributes:
        vertical, horizontal: the operators.
        conv: their numbers.
        input_shape: [batch, height, width, channels].
    """

    vertical: Operator
    horizontal: Operator
    conv: SeparableConv
    input_shape: tuple[int, ...]


def run(subgraph: Subgraph, conversion: Conversion) -> list[LayerDecision]:
    """Fuse the pairs that gain on the target; return a decision for each pair that a kernel runs.

    Raises:
        ModelError: a layer has an unknown version, or a shape that no runtime runs.
    """
    decisions, uses = [], subgraph.uses()
    for op in list(subgraph.operators):
        pair = find_pair(subgraph, op, uses)
        if pair is not None and not _is_shared(pair, conversion):
            decisions.append(_fuse_if_it_gains(subgraph, pair, conversion.target))
    return decisions


def _is_shared(pair: Pair, conversion: Conversion) -> bool:
    """Return True if another operator keeps weights of the pair in the file."""
    return max(map(conversion.users_of, (pair.vertical, pair.horizontal))) > 1


def find_pair(
    subgraph: Subgraph, op: Operator, uses: Mapping[Tensor, Sequence[Operator]] | None = None
) -> Pair | None:
    """Return the pair that starts with `op`; None if there is none that a kernel runs.

    `uses` are those of the subgraph before any pair was fused: no operator is in two pairs.
    """
    follower = _follower(subgraph, op, uses)
    if follower is None:
        return None
    check_operator(op)
    check_operator(follower)
    try:
        conv = SeparableConv(_read_stage(op, axis=0), _read_stage(follower, axis=1))
        shape = op.input(0).shape
        if conv.output_shape(shape) != follower.outputs[0].shape:
            return None
    except Unsupported:
        return None
    return Pair(op, follower, conv, shape)


def _follower(
    subgraph: Subgraph, op: Operator, uses: Mapping[Tensor, Sequence[Operator]] | None
) -> Operator | None:
    """Return the CONV_2D that alone reads the output of the CONV_2D `op`."""
    if op.builtin_code != BuiltinOperator.CONV_2D or len(op.outputs) != 1:
        return None
    reader = subgraph.only_reader(op.outputs[0], uses)
    if reader is None or reader.builtin_code != BuiltinOperator.CONV_2D:
        return None
    return reader if reader.inputs[0] is op.outputs[0] else None


def _read_stage(op: Operator, *, axis: int) -> ConvStage:
    """Return the stage whose kernel runs along `axis` of the image: 0 down, 1 right.

    Raises:
        Unsupported: the convolution is not such a stage.
    """
    weights = read_weights(op)
    units, *kernel, channels = weights.shape
    if op.options is None or op.dilation != (1, 1):
        raise Unsupported("dilation")
    strides = op.strides
    if kernel[1 - axis] != 1 or strides[1 - axis] != 1:
        raise Unsupported("kernel or stride across the axis")
    if not (1 < kernel[axis] <= MAX_KERNEL and 1 <= strides[axis] <= MAX_KERNEL):
        raise Unsupported("kernel or stride along the axis")
    inputs, output = op.input(0), op.outputs[0]
    if len(inputs.shape) != 4 or inputs.shape[3] != channels or op.options.padding not in (0, 1):
        raise Unsupported("groups, or an unknown padding")
    layer, params = read_numbers(op, weights.reshape(units, -1))
    if not isinstance(layer, FullyConnectedWeights):
        raise Unsupported("float32")
    stage = ConvStage(
        weights=weights.reshape(units, kernel[axis], channels),
        bias=layer.bias,
        multiplier=layer.multiplier,
        shift=layer.shift,
        stride=strides[axis],
        padding=Padding(op.options.padding),
        activation_min=params.activation_min,
        activation_max=params.activation_max,
        input_zero_point=params.input_zero_point,
        output_zero_point=params.output_zero_point,
    )
    expected = list(inputs.shape)
    expected[1 + axis], expected[3] = stage.output_size(inputs.shape[1 + axis]), units
    if tuple(expected) != output.shape or 0 in expected:
        raise Unsupported("shapes do not fit")
    return stage


def _fuse_if_it_gains(subgraph: Subgraph, pair: Pair, target: str) -> LayerDecision:
    conv, name = pair.conv, layer_name(pair.horizontal)
    order = order_for(conv, target)
    operators = (pair.vertical, pair.horizontal)
    dense = separable_conv.dense_instructions(target, conv, pair.input_shape)
    fused = separable_conv.fused_instructions(target, conv, order, pair.input_shape)
    scratch = separable_conv.scratch_bytes(target, conv, order, pair.input_shape)
    peak_before = arena.peak_bytes(subgraph)
    blob = pack(conv, order)
    operator = packed_operator(
        op_names.SEPARABLE_CONV_2D, pair.horizontal, Buffer(blob), source=pair.vertical.input(0)
    )
    fused_graph = _with_fused(subgraph, pair, operator)
    position = fused_graph.operators.index(operator)
    peak_after = arena.peak_bytes(fused_graph, {position: scratch})
    is_leaner = peak_after < peak_before and fused * peak_after < dense * peak_before
    pays = fused < dense or is_leaner
    change = (
        f"{dense:,} -> {fused:,} {get_target(target).cost_unit} on {target}, "
        f"peak of activations {peak_before:,} -> {peak_after:,} bytes"
    )
    if pays:
        subgraph.operators = fused_graph.operators
    return LayerDecision(
        name=name,
        op=op_names.SEPARABLE_CONV_2D,
        rewritten=pays,
        reason=f"pair fused: {change}" if pays else f"pair not fused: {change}",
        dense_bytes=dense_bytes(operators),
        packed_bytes=len(blob),
        dense_instructions=dense,
        sparse_instructions=fused,
        variant=separable_conv.variant_name(target, order),
        scratch_bytes=scratch,
    )


def _with_fused(subgraph: Subgraph, pair: Pair, operator: Operator) -> Subgraph:
    """Return a copy of the graph with `operator` in the place of `pair`."""
    kept = [op for op in subgraph.operators if op is not pair.vertical]
    return Subgraph(
        tensors=subgraph.tensors,
        operators=[operator if op is pair.horizontal else op for op in kept],
        inputs=subgraph.inputs,
        outputs=subgraph.outputs,
    )
