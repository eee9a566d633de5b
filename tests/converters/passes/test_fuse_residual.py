"""Sums become residuals of sparse convolutions, equal to TFLM's ADD bit for bit."""

from __future__ import annotations

import numpy as np
import pytest

from tests.support.models.operator_models import GraphBuilder
from tflm_sparsesep import runtimes
from tflm_sparsesep.converters.blob.pack_sparse_conv import unpack_conv
from tflm_sparsesep.converters.cost import residual
from tflm_sparsesep.converters.decisions import LayerDecision
from tflm_sparsesep.converters.inspect_model import inspect_model
from tflm_sparsesep.converters.layers.packed import blob_of
from tflm_sparsesep.converters.op_names import SPARSE_CONV_2D
from tflm_sparsesep.converters.rewrite import RewriteResult, rewrite
from tflm_sparsesep.converters.tflite import editor
from tflm_sparsesep.converters.tflite.editor import Tensor

TARGETS = ("cortex-m0", "cortex-m3", "cortex-m4", "cortex-m55")
ZEROS = 0.9


def block(
    graph: GraphBuilder, x: Tensor, *, activation: str = "RELU", swapped: bool = False
) -> Tensor:
    """A residual block: two convolutions, and the sum with their input."""
    units = x.shape[3]
    y = graph.conv(x, units, (3, 3), activation="RELU")
    y = graph.conv(y, units, (3, 3))
    return graph.arithmetic("ADD", *((y, x) if swapped else (x, y)), activation)


def check_outputs(graph: GraphBuilder, dense: bytes, result: RewriteResult) -> None:
    inputs = graph.samples(5)
    np.testing.assert_array_equal(
        runtimes.run(result.tflite, inputs)[0], runtimes.run(dense, inputs)[0]
    )


def names(tflite: bytes) -> list[str]:
    return [op.op_name for op in editor.read(tflite).operators]


@pytest.mark.parametrize("target", TARGETS)
def test_blocks_keep_their_outputs(target: str) -> None:
    graph = GraphBuilder(0, quantized=True, zeros=ZEROS)
    x = graph.conv(graph.input(1, 12, 12, 8), 16, (3, 3))
    for activation, swapped in (("RELU", False), ("NONE", True), ("RELU6", False)):
        x = block(graph, x, activation=activation, swapped=swapped)
    dense = graph.build()
    result = rewrite(dense, target=target)
    assert names(result.tflite) == [SPARSE_CONV_2D] * 7
    check_outputs(graph, dense, result)


def test_random_scales_keep_outputs() -> None:
    kinds = set()
    for seed in range(20):
        graph = GraphBuilder(seed, quantized=True, zeros=ZEROS)
        x, rng = graph.input(1, 10, 10, 8), np.random.default_rng(seed)
        total = block(graph, x, activation=str(rng.choice(["NONE", "RELU", "RELU6"])))
        for tensor in (x, graph.operators[-2].outputs[0], total):
            assert tensor.quantization is not None
            tensor.quantization.raw.scale *= np.float32(rng.uniform(0.2, 5))
            tensor.quantization.raw.zeroPoint[:] = rng.integers(-128, 128)
        dense = graph.build()
        result = rewrite(dense, target="cortex-m4")
        (_, fused) = editor.read(result.tflite).operators
        found = unpack_conv(blob_of(fused)).residual
        assert found is not None
        kinds.add(found.narrow)
        check_outputs(graph, dense, result)
    assert kinds == {"other", "output"}


def test_of_two_convolutions_the_last_adds_the_other() -> None:
    graph = GraphBuilder(1, quantized=True, zeros=ZEROS)
    x = graph.input(1, 16, 16, 8)
    y = graph.conv(graph.conv(x, 16, (3, 3), stride=(2, 2)), 16, (3, 3))
    shortcut = graph.conv(x, 16, (1, 1), stride=(2, 2))
    dense = graph.build(graph.arithmetic("ADD", y, shortcut, "RELU"))
    result = rewrite(dense, target="cortex-m4")
    *_, other, fused = editor.read(result.tflite).operators
    assert fused.inputs[2] is other.outputs[0]
    assert [len(op.inputs) for op in (other, fused)] == [2, 3]
    check_outputs(graph, dense, result)


def test_the_decision_counts_both() -> None:
    graph = GraphBuilder(2, quantized=True, zeros=ZEROS)
    x = graph.input(1, 12, 12, 16)
    total = block(graph, x)
    dense = graph.build()
    result = rewrite(dense, target="cortex-m4")
    alone = rewrite(graph.build(graph.operators[1].outputs[0], total), target="cortex-m4")
    decision, separate = result.layers[-1], alone.layers[-1]
    assert decision.name == total.name
    assert separate.name == graph.operators[1].outputs[0].name
    added = residual.instructions("cortex-m4", 12 * 12 * 16)
    assert decision.sparse_instructions == _instructions(separate) + added
    assert decision.packed_bytes == separate.packed_bytes
    assert f"-> {added:,} instructions" in decision.reason
    # What inspect says of the dense file, and of the converted one.
    first, convolution, fused = inspect_model(dense, target="cortex-m4")
    assert [first, fused] == result.layers
    assert convolution.reason == "fused with what reads it"
    stored = inspect_model(result.tflite, target="cortex-m4")[-1]
    for field in ("sparse_instructions", "dense_instructions", "scratch_bytes", "zeros", "variant"):
        assert getattr(stored, field) == getattr(decision, field), field


def _instructions(decision: LayerDecision) -> int:
    assert decision.sparse_instructions is not None
    return decision.sparse_instructions


def _read_twice(graph: GraphBuilder, x: Tensor) -> bytes:
    y = graph.conv(x, x.shape[3], (3, 3))
    return graph.build(graph.arithmetic("ADD", x, y), graph.function("RELU", y))


def _with_a_constant(graph: GraphBuilder, x: Tensor) -> bytes:
    y = graph.conv(x, x.shape[3], (3, 3))
    return graph.build(graph.arithmetic("ADD", y, graph.constant(*y.shape)))


def _with_itself(graph: GraphBuilder, x: Tensor) -> bytes:
    y = graph.conv(x, x.shape[3], (3, 3))
    return graph.build(graph.arithmetic("ADD", y, y))


def _broadcast(graph: GraphBuilder, x: Tensor) -> bytes:
    y = graph.conv(x, x.shape[3], (3, 3))
    _, height, width, _ = x.shape
    z = graph.pool(x, "AVERAGE", (height, width), (1, 1))
    return graph.build(graph.arithmetic("ADD", y, z))


@pytest.mark.parametrize("make", [_read_twice, _with_a_constant, _with_itself, _broadcast])
def test_other_sums_stay(make: object) -> None:
    graph = GraphBuilder(3, quantized=True, zeros=ZEROS)
    assert callable(make)
    dense = make(graph, graph.input(1, 12, 12, 16))
    result = rewrite(dense, target="cortex-m4")
    assert {"ADD", SPARSE_CONV_2D} <= set(names(result.tflite))
    check_outputs(graph, dense, result)


def test_sums_that_would_not_get_faster_stay() -> None:
    # A table of 256 entries costs more than the sums of 2x2 pixels.
    graph = GraphBuilder(4, quantized=True, zeros=0.97)
    dense = graph.build(block(graph, graph.input(1, 2, 2, 16)))
    assert "ADD" in names(rewrite(dense, target="cortex-m4").tflite)


def test_pcs_and_phones_keep_the_addition() -> None:
    graph = GraphBuilder(5, quantized=True, zeros=ZEROS)
    dense = graph.build(block(graph, graph.input(1, 12, 12, 16)))
    assert "ADD" in names(rewrite(dense, target="host").tflite)


def test_a_sum_stays_where_activations_would_need_more_memory() -> None:
    # The shortcut comes first: as its residual, the sum would keep the large input to the end.
    graph = GraphBuilder(6, quantized=True, zeros=ZEROS)
    x = graph.input(1, 24, 24, 16)
    shortcut = graph.conv(x, 16, (1, 1), stride=(2, 2))
    y = graph.pool(x, "MAX", (2, 2), (2, 2))
    y = graph.pad(y, [(0, 0), (6, 6), (6, 6), (0, 0)])  # as large as the input
    y = graph.pool(y, "MAX", (2, 2), (2, 2))
    dense = graph.build(graph.arithmetic("ADD", shortcut, y))
    result = rewrite(dense, target="cortex-m4")
    assert "ADD" in names(result.tflite)
    check_outputs(graph, dense, result)
