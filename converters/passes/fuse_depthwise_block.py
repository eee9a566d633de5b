"""A DEPTHWISE_CONV_2D followed by a 1x1 CONV_2D -> SEPARABLE_CONV_2D of kind BLOCK.

Given:   DEPTHWISE_CONV_2D(input, weights[1, kh, kw, middle], bias) -> intermediate
         CONV_2D(intermediate, weights[out, 1, 1, middle], bias), stride 1 -> output
Result:  SEPARABLE_CONV_2D(input, blob uint8[bytes]) -> output

The intermediate feature map is never materialized: a rolling buffer holds a few lines of it. The
pointwise weights are packed in any layout, whatever their zeros. Outputs are bit-exact, including
fused activations. The pass takes int8 pairs if no other operator reads the intermediate feature
map, and if the file does not grow. With prefer="speed" it may grow by a fifth.

Which pairs are fused is one decision for the whole model, after all other passes: a block takes a
few percent more instructions than its two operators, and saves memory only where TFLM's planner
needs most. The pass minimizes the product of the model's instructions and its planned arena
(`choose_blocks`).
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterable, Mapping, Sequence
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
    fully_connected,
    other_operators,
)
from tflm_sparsesep.converters.cost.choose_layout import choose_layout, most_bytes
from tflm_sparsesep.converters.cost.cost import Cost, PackedCost
from tflm_sparsesep.converters.cost.depthwise_kernels import DepthwiseRun
from tflm_sparsesep.converters.decisions import LayerDecision
from tflm_sparsesep.converters.layers import other_operator
from tflm_sparsesep.converters.layers.depthwise import read_depthwise, run_of
from tflm_sparsesep.converters.layers.matrix import MatrixLayer, read_matrix_layer
from tflm_sparsesep.converters.layers.quantized import Unsupported, dense_bytes, layer_name
from tflm_sparsesep.converters.passes import choose_blocks
from tflm_sparsesep.converters.passes.conversion import Conversion
from tflm_sparsesep.converters.targets import get_target
from tflm_sparsesep.converters.tflite import memory_plan
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


@dataclass(frozen=True)
class _Candidate:
    """A block, and the operator that could replace it.

    Attributes:
        block: the pair.
        operator: SEPARABLE_CONV_2D.
        decision: about the operator; its reason is still missing.
        separate: instructions of the pair if each layer is rewritten for itself.
    """

    block: Block
    operator: Operator
    decision: LayerDecision
    separate: int


def find(subgraph: Subgraph, conversion: Conversion) -> list[Block]:
    """Return the pairs of a dense graph that could be fused, in execution order.

    Raises:
        ModelError: a layer has an unknown version, or a shape that no runtime runs.
    """
    if conversion.target == "host":  # LiteRT's own kernels are faster
        return []
    uses = subgraph.uses()
    found = (find_block(subgraph, op, uses) for op in subgraph.operators)
    return [block for block in found if block is not None and not _is_shared(block, conversion)]


def run(
    subgraph: Subgraph,
    blocks: Sequence[Block],
    decisions: Sequence[LayerDecision],
    conversion: Conversion,
) -> list[LayerDecision]:
    """Fuse the pairs that gain; return the decisions with those of fused layers replaced.

    Args:
        subgraph: the graph after all other passes.
        blocks: what `find` returned before them.
        decisions: of the other passes.
        conversion: the target and the preference.
    """
    decided = {decision.name: decision for decision in decisions}
    candidates = []
    for block in blocks:
        pair = [decided.get(layer_name(op)) for op in (block.depthwise, block.pointwise)]
        if None not in pair:
            candidate = _candidate(block, [d for d in pair if d is not None], conversion)
            candidates.extend([] if candidate is None else [candidate])
    if not candidates:
        return list(decisions)
    chosen, reason = _choose(subgraph, candidates, decisions, conversion)
    for candidate in chosen:
        subgraph.operators = _with_fused(subgraph.operators, candidate)
    fused = {layer_name(op) for c in chosen for op in (c.block.depthwise, c.block.pointwise)}
    kept = [decision for decision in decisions if decision.name not in fused]
    unit = get_target(conversion.target).cost_unit
    return kept + [
        dataclasses.replace(
            c.decision,
            reason=f"depthwise block fused: {c.separate:,} -> {c.decision.sparse_instructions:,} "
            f"{unit} on {conversion.target}; {reason}",
        )
        for c in chosen
    ]


def find_block(
    subgraph: Subgraph, op: Operator, uses: Mapping[Tensor, Sequence[Operator]] | None = None
) -> Block | None:
    """Return the block that starts with `op`; None if there is none that kernels run."""
    if op.builtin_code != BuiltinOperator.DEPTHWISE_CONV_2D or len(op.outputs) != 1:
        return None
    reader = subgraph.only_reader(op.outputs[0], uses)
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


def _candidate(
    block: Block, pair: list[LayerDecision], conversion: Conversion
) -> _Candidate | None:
    """Return what could replace `block`; None if no kernel runs it, or the file would grow.

    `pair` are the decisions about its two layers.
    """
    target = conversion.target
    best = _best_layout(block, conversion)
    if best is None:
        return None
    blob = pack_block(block.layer, Pointwise(block.weights, block.matrix.options, best.layout))
    before = dense_bytes([block.depthwise, block.pointwise])
    if len(blob) > most_bytes(before, conversion.prefer):
        return None
    height, width = block.depthwise.input(0).shape[1:3]
    weights = np.concatenate([w.reshape(-1) for w in _weights(block)])
    decision = LayerDecision(
        name=layer_name(block.pointwise),
        op=op_names.SEPARABLE_CONV_2D,
        rewritten=True,
        reason="",
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
        scratch_bytes=native.depthwise_scratch_bytes(blob, height, width, target=target),
    )
    separate = sum(map(choose_blocks.instructions_of, pair))
    return _Candidate(block, _operator(block, blob), decision, separate)


def _choose(
    subgraph: Subgraph,
    candidates: list[_Candidate],
    decisions: Sequence[LayerDecision],
    conversion: Conversion,
) -> tuple[list[_Candidate], str]:
    """Return the candidates to fuse, and what that does to the arena."""
    others, _ = other_operators.total(
        conversion.target, map(other_operator.read, subgraph.operators)
    )
    total = others + sum(map(choose_blocks.instructions_of, decisions))
    scratch = {d.name: d.scratch_bytes or 0 for d in decisions if d.rewritten}

    def planned(chosen: Iterable[_Candidate]) -> int:
        operators, extra = subgraph.operators, dict(scratch)
        for candidate in chosen:
            operators = _with_fused(operators, candidate)
            extra[candidate.decision.name] = candidate.decision.scratch_bytes or 0
        graph = Subgraph(
            tensors=subgraph.tensors,
            operators=operators,
            inputs=subgraph.inputs,
            outputs=subgraph.outputs,
        )
        at = enumerate(map(layer_name, operators))
        return memory_plan.planned_bytes(graph, {i: extra.get(name, 0) for i, name in at})

    costs = [(c.decision.sparse_instructions or 0) - c.separate for c in candidates]
    choice = choose_blocks.choose(
        total, costs, lambda numbers: planned(candidates[i] for i in numbers), conversion.prefer
    )
    chosen = [candidates[i] for i in choice.blocks]
    after = total + sum(costs[i] for i in choice.blocks)
    unit = get_target(conversion.target).cost_unit
    reason = (
        f"{len(chosen)} in the model: {total:,} -> {after:,} {unit}, "
        f"planned arena {planned([]):,} -> {choice.arena:,} bytes"
    )
    return chosen, reason


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


def _dense_instructions(block: Block, target: str) -> int:
    depthwise = depthwise_conv.dense_instructions(target, block.run.shape)
    return depthwise + block.matrix.shape.dense_instructions(target, "int8")


def _weights(block: Block) -> tuple[np.ndarray, np.ndarray]:
    return block.layer.weights.weights, block.weights.weights


def _operator(block: Block, blob: bytes) -> Operator:
    name = f"{block.pointwise.weights.name}/packed"
    packed = Tensor.constant(name, np.frombuffer(blob, np.uint8))
    inputs, outputs = [block.depthwise.inputs[0], packed], block.pointwise.outputs
    return Operator.custom(op_names.SEPARABLE_CONV_2D, inputs, outputs)


def _with_fused(operators: Sequence[Operator], candidate: _Candidate) -> list[Operator]:
    """Return `operators` with the one of `candidate` in the place of its two layers."""
    pair = candidate.block.depthwise, candidate.block.pointwise
    middle, output = (op.outputs[0] for op in pair)
    kept = [op for op in operators if op.outputs[:1] != [middle]]
    return [candidate.operator if op.outputs[:1] == [output] else op for op in kept]
