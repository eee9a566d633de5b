"""Graphs: who writes and reads a tensor, and how operators are replaced."""

from __future__ import annotations

import pytest

from tflm_sparsesep.converters.errors import ConfigError, ModelError
from tflm_sparsesep.converters.tflite.editor import Operator, Subgraph, Tensor


def chain() -> tuple[Subgraph, list[Tensor], list[Operator]]:
    """Return a graph of two operators: x -> first -> middle -> second -> y."""
    x, middle, y = (Tensor(name, [1]) for name in ("x", "middle", "y"))
    first, second = Operator.custom("A", [x], [middle]), Operator.custom("B", [middle], [y])
    return (
        Subgraph(inputs=[x], outputs=[y], operators=[first, second]),
        [x, middle, y],
        [
            first,
            second,
        ],
    )


def test_producer_and_consumers() -> None:
    graph, (x, middle, y), (first, second) = chain()
    assert (graph.producer(x), graph.producer(middle)) == (None, first)
    assert graph.consumers(middle) == [second]
    assert graph.consumers(y) == []


def test_the_only_reader_of_a_tensor() -> None:
    graph, (x, middle, y), (_, second) = chain()
    assert graph.only_reader(middle) is second
    assert graph.only_reader(x) is None  # an input outlives its reader
    assert graph.only_reader(y) is None


def test_no_only_reader_of_a_tensor_with_other_uses() -> None:
    graph, (_, middle, _), (_, second) = chain()
    graph.operators.append(Operator.custom("C", [middle], [Tensor("z", [1])]))
    assert graph.only_reader(middle) is None

    graph, (_, middle, _), (_, second) = chain()
    second.inputs.append(middle)
    assert graph.only_reader(middle) is None

    graph, (_, middle, _), _ = chain()
    graph.outputs.append(middle)
    assert graph.only_reader(middle) is None

    graph, (_, middle, _), _ = chain()
    middle.raw.isVariable = True
    assert graph.only_reader(middle) is None


def test_replace() -> None:
    graph, (x, _, y), (first, second) = chain()
    both = Operator.custom("AB", [x], [y])
    graph.replace(first, both)
    graph.replace(second)
    assert graph.operators == [both]
    with pytest.raises(ConfigError, match="has no operator"):
        graph.replace(first)


def test_an_absent_input_is_an_error() -> None:
    op = Operator.custom("A", [Tensor("x", [1]), None], [])
    assert op.bias is None
    with pytest.raises(ModelError, match="A has no input 1"):
        _ = op.weights
    with pytest.raises(ModelError, match="A has no input 2"):
        op.input(2)
