"""The activation peak: lifetimes of tensors, by hand."""

from __future__ import annotations

import itertools

from tflm_sparsesep.converters.tflite.arena import peak_bytes, tensor_bytes
from tflm_sparsesep.converters.tflite.editor import Operator, Subgraph, Tensor, TensorType


def chain(sizes: list[int]) -> Subgraph:
    """Return a graph of operators that each read one int8 tensor and write the next."""
    tensors = [Tensor(f"t{i}", [n], TensorType.INT8) for i, n in enumerate(sizes)]
    operators = [Operator.custom("A", [a], [b]) for a, b in itertools.pairwise(tensors)]
    return Subgraph(inputs=tensors[:1], outputs=tensors[-1:], operators=operators)


def test_a_chain_needs_two_neighbors_at_once() -> None:
    assert peak_bytes(chain([10, 100, 40, 5])) == 140
    assert peak_bytes(chain([7])) == 0  # no operator runs


def test_scratch_counts_during_its_operator() -> None:
    graph = chain([10, 100, 40, 5])
    assert peak_bytes(graph, {0: 31}) == 141
    assert peak_bytes(graph, {2: 95}) == 140
    assert peak_bytes(graph, {2: 96}) == 141


def test_a_tensor_lives_until_its_last_reader() -> None:
    graph = chain([10, 100, 40, 5])
    graph.operators[-1].inputs.append(graph.operators[0].outputs[0])
    assert peak_bytes(graph) == 100 + 40 + 5


def test_outputs_and_variables_live_to_the_end() -> None:
    graph = chain([10, 100, 40, 5])
    graph.outputs.append(graph.operators[0].outputs[0])
    assert peak_bytes(graph) == 100 + 40 + 5
    graph = chain([10, 100, 40, 5])
    graph.operators[0].outputs[0].raw.isVariable = True
    assert peak_bytes(graph) == 100 + 40 + 5


def test_bytes_of_a_tensor() -> None:
    assert tensor_bytes(Tensor("x", [3, 5], TensorType.FLOAT32)) == 60
    assert tensor_bytes(Tensor("s", [3], TensorType.STRING)) == 0
