"""A DEPTHWISE_CONV_2D followed by a 1x1 CONV_2D -> SEPARABLE_CONV_2D of kind BLOCK.

Given:   DEPTHWISE_CONV_2D(input, weights[1, kh, kw, middle], bias) -> intermediate
         CONV_2D(intermediate, weights[out, 1, 1, middle], bias), stride 1 -> output
Result:  SEPARABLE_CONV_2D(input, blob uint8[bytes]) -> output

The intermediate feature map is never materialized: a rolling buffer holds a few lines of it. The
pointwise weights are packed in any layout, whatever their zeros. Outputs are bit-exact, including
fused activations. The pass rewrites int8 pairs if no other operator reads the intermediate feature
map, if that lowers the product of the pair's instructions and the model's peak of activations, and
if the file does not grow. With prefer="speed" it may grow by a fifth.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np

from tflm_sparsesep.converters import native, op_names
from tflm_sparsesep.converters.blob.constant_rows import bound_constant_rows
from tflm_sparsesep.converters.blob.format import Layout
from tflm_sparsesep.converters.blob.pack import FullyConnectedWeights
from tflm_sparsesep.converters.blob.pack_depthwise import DepthwiseLayer, Pointwise, pack_block
from tflm_sparsesep.converters.blob.size import PackedSize
from tflm_sparsesep.converters.cost import (
    depthwise_block,
    depthwise_conv,
    depthwise_kernels,
    fully_connected,
)
from tflm_sparsesep.converters.cost.choose_layout import SPEED_GROWTH, choose_layout, pays
from tflm_sparsesep.converters.cost.cost import Cost, PackedCost
from tflm_sparsesep.converters.cost.depthwise_kernels import DepthwiseRun
from tflm_sparsesep.converters.decisions import LayerDecision
from tflm_sparsesep.converters.layers.depthwise import read_depthwise, run_of
from tflm_sparsesep.converters.layers.matrix import MatrixLayer, read_matrix_layer
from tflm_sparsesep.converters.layers.quantized import Unsupported, dense_bytes, layer_name
from tflm_sparsesep.converters.passes.conversion import Conversion
from tflm_sparsesep.converters.targets import get_target
from tflm_sparsesep.converters.tflite import arena
from tflm_sparsesep.converters.tflite.editor import BuiltinOperator, Operator, Subgraph, Tensor


@dataclass(frozen=True)
class Block:
    """Two convolutions, the second of which alone reads the output of the first.

    Attributes:
        depthwise, pointwise: the operators.
        layer, matrix: their numbers.
        weights: those of `matrix`, int8.
    """

    depthwise: Operator
    pointwise: Operator
    layer: DepthwiseLayer
    matrix: MatrixLayer
    weights: FullyConnectedWeights

    @property
    def run(self) -> DepthwiseRun:
        """What the cost of the depthwise convolution depends on."""
        return run_of(self.layer, self.depthwise.input(0).shape)


def run(subgraph: Subgraph, conversion: Conversion) -> list[LayerDecision]:
    """Fuse the pairs that gain on the target; return a decision for each that is fused.

    Raises:
        ModelError: a layer has an unknown version, or a shape that no runtime runs.
    """
    if conversion.target == "host":  # the LiteRT delegate does not run the operator
        return []
    decisions = []
    for op in list(subgraph.operators):
        block = find_block(subgraph, op)
        if block is not None and not _is_shared(block, conversion):
            decision = _fuse_if_it_gains(subgraph, block, conversion)
            decisions.extend([] if decision is None else [decision])
    return decisions


def find_block(subgraph: Subgraph, op: Operator) -> Block | None:
    """Return the block that starts with `op`; None if there is none that kernels run."""
    if op.builtin_code != BuiltinOperator.DEPTHWISE_CONV_2D or len(op.outputs) != 1:
        return None
    reader = subgraph.only_reader(op.outputs[0])
    if reader is None or reader.builtin_code != BuiltinOperator.CONV_2D:
        return None
    if reader.inputs[0] is not op.outputs[0]:
        return None
    try:
        layer, matrix = read_depthwise(op), read_matrix_layer(reader)
    except Unsupported:
        return None
    if matrix.shape.taps != 1 or not isinstance(matrix.weights, FullyConnectedWeights):
        return None
    if matrix.shape.cols != layer.units or matrix.options.input_step:
        return None
    weights = bound_constant_rows(matrix.weights, matrix.options)
    assert isinstance(weights, FullyConnectedWeights)
    return Block(op, reader, layer, matrix, weights)


def _is_shared(block: Block, conversion: Conversion) -> bool:
    """Return True if another operator keeps weights of the pair in the file."""
    buffers = [op.weights.buffer for op in (block.depthwise, block.pointwise)]
    return any(buffer and conversion.users.get(buffer, 1) > 1 for buffer in buffers)


def _fuse_if_it_gains(
    subgraph: Subgraph, block: Block, conversion: Conversion
) -> LayerDecision | None:
    target = conversion.target
    best = _best_layout(block, conversion)
    if best is None:
        return None
    options = block.matrix.options
    blob = pack_block(block.layer, Pointwise(block.weights, options, best.layout))
    height, width = block.depthwise.input(0).shape[1:3]
    scratch = native.depthwise_scratch_bytes(blob, height, width, target=target)
    operator = _operator(block, blob)
    fused_graph = _with_fused(subgraph, block, operator)
    position = fused_graph.operators.index(operator)
    peaks = (arena.peak_bytes(subgraph), arena.peak_bytes(fused_graph, {position: scratch}))
    separate, before = _separate_instructions(block, conversion), _dense_bytes(block)
    limit = SPEED_GROWTH * before if conversion.prefer == "speed" else before
    if best.instructions * peaks[1] >= separate * peaks[0] or len(blob) > limit:
        return None
    subgraph.operators = fused_graph.operators
    unit = get_target(target).cost_unit
    weights = np.concatenate([w.reshape(-1) for w in _weights(block)])
    return LayerDecision(
        name=layer_name(block.pointwise),
        op=op_names.SEPARABLE_CONV_2D,
        rewritten=True,
        reason=(
            f"depthwise block fused: {separate:,} -> {best.instructions:,} {unit} on {target}, "
            f"peak of activations {peaks[0]:,} -> {peaks[1]:,} bytes"
        ),
        rows=block.matrix.shape.rows,
        cols=block.matrix.shape.cols,
        batch=block.matrix.shape.vectors,
        zeros=float(1.0 - np.count_nonzero(weights) / weights.size),
        pattern=best.layout.pattern,
        index=best.layout.index,
        dense_bytes=before,
        packed_bytes=len(blob),
        dense_instructions=_dense_instructions(block, target),
        sparse_instructions=best.instructions,
        variant=native.depthwise_variant_name(blob, target=target),
        scratch_bytes=scratch,
    )


def _best_layout(block: Block, conversion: Conversion) -> PackedCost | None:
    """Return the layout of the pointwise weights, and the cost of the whole block."""
    target = conversion.target
    return choose_layout(
        block.weights,
        target,
        block.matrix.shape.vectors,
        dense=Cost(dense_bytes([block.pointwise]), _dense_instructions(block, target)),
        prefer=conversion.prefer,
        time_of=functools.partial(_instructions, target, block),
    )


def _instructions(target: str, block: Block, layout: Layout, size: PackedSize) -> int:
    pointwise = functools.partial(fully_connected.sparse_instructions, target, layout, size)
    return depthwise_block.instructions(target, block.run, block.matrix.shape.rows, pointwise)


def _separate_instructions(block: Block, conversion: Conversion) -> int:
    """Return what both layers take if they are rewritten each for itself."""
    target, shape = conversion.target, block.run.shape
    depthwise = min(
        depthwise_conv.dense_instructions(target, shape),
        depthwise_kernels.instructions(target, block.run),
    )
    dense = Cost(
        dense_bytes([block.pointwise]), block.matrix.shape.dense_instructions(target, "int8")
    )
    best = choose_layout(
        block.weights,
        target,
        block.matrix.shape.vectors,
        dense=dense,
        prefer=conversion.prefer,
    )
    is_packed = best is not None and pays(best, dense, conversion.prefer)
    return depthwise + (best.instructions if best and is_packed else dense.instructions)


def _dense_instructions(block: Block, target: str) -> int:
    depthwise = depthwise_conv.dense_instructions(target, block.run.shape)
    return depthwise + block.matrix.shape.dense_instructions(target, "int8")


def _dense_bytes(block: Block) -> int:
    return dense_bytes([block.depthwise, block.pointwise])


def _weights(block: Block) -> tuple[np.ndarray, np.ndarray]:
    return block.layer.weights.weights, block.weights.weights


def _operator(block: Block, blob: bytes) -> Operator:
    name = f"{block.pointwise.weights.name}/packed"
    packed = Tensor.constant(name, np.frombuffer(blob, np.uint8))
    inputs, outputs = [block.depthwise.inputs[0], packed], block.pointwise.outputs
    return Operator.custom(op_names.SEPARABLE_CONV_2D, inputs, outputs)


def _with_fused(subgraph: Subgraph, block: Block, operator: Operator) -> Subgraph:
    """Return a copy of the graph with `operator` in the place of `block`."""
    kept = [op for op in subgraph.operators if op is not block.depthwise]
    return Subgraph(
        tensors=subgraph.tensors,
        operators=[operator if op is block.pointwise else op for op in kept],
        inputs=subgraph.inputs,
        outputs=subgraph.outputs,
    )
