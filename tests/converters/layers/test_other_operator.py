"""Operators without weights are read as what their cost depends on."""

from __future__ import annotations

import numpy as np
import pytest

from tests.support.models.operator_models import GraphBuilder, lenet_5
from tflm_sparsesep.converters import model_cost
from tflm_sparsesep.converters.cost.other_operators import OtherOperator, instructions
from tflm_sparsesep.converters.layers.other_operator import read
from tflm_sparsesep.converters.tflite import editor
from tflm_sparsesep.converters.tflite.editor import (
    BuiltinOperator,
    Tensor,
    TensorType,
    schema,
    schema_object,
)


def builder(*shape: int, quantized: bool = True) -> tuple[GraphBuilder, Tensor]:
    graph = GraphBuilder(0, quantized=quantized)
    return graph, graph.input(*shape)


def mean(graph: GraphBuilder, x: Tensor, *axes: int) -> None:
    shape = [size for axis, size in enumerate(x.shape) if axis not in axes]
    constant = Tensor.constant("axes", np.array(axes, np.int32))
    out = graph.tensor("mean", shape, 0.04, 2)
    options = schema_object(schema.ReducerOptionsT, keepDims=False)
    graph.add(BuiltinOperator.MEAN, [x, constant], out, options, 2)


def test_each_kind_has_its_sizes() -> None:
    graph, x = builder(1, 6, 5, 4)
    graph.arithmetic("ADD", x, x)
    graph.arithmetic("MUL", x, x)
    for name in ("RELU", "RELU6", "LOGISTIC", "SOFTMAX"):
        graph.function(name, x)
    graph.convert(x, graph.tensor("other", x.shape, 0.07, 1))
    graph.pool(x, "MAX", (3, 2), (2, 1), "SAME")
    graph.pool(x, "AVERAGE", (6, 5), (6, 5))
    graph.pad(x, [(0, 0), (1, 2), (3, 0), (0, 0)])
    graph.concatenate([x, graph.constant(1, 6, 5, 3)], -1)
    graph.reshape(x, 1, 120)
    mean(graph, x, 2, 1)
    assert [read(op) for op in graph.operators] == [
        *(OtherOperator(name, (120,)) for name in ("ADD", "MUL", "RELU", "RELU6", "LOGISTIC")),
        OtherOperator("SOFTMAX", (30, 4)),
        OtherOperator("QUANTIZE", (120,)),
        OtherOperator("MAX_POOL_2D", (6, 5, 4, 3, 2, 2, 1, 0)),
        OtherOperator("AVERAGE_POOL_2D", (6, 5, 4, 6, 5, 6, 5, 1)),
        OtherOperator("PAD", (6, 5, 4, 1, 2, 3, 0)),
        OtherOperator("CONCATENATION", (30, 4, 3)),
        OtherOperator("RESHAPE", (120,)),
        OtherOperator("MEAN", (6, 5, 4)),
    ]
    model = editor.read(graph.build())
    assert model_cost.uncounted(model, [], "cortex-m4") == []
    assert model_cost.uncounted(model, [], "host")[:2] == ["ADD", "MUL"]


def test_what_runs_in_other_kernels_has_no_cost() -> None:
    graph, x = builder(1, 6, 5, 4)
    graph.arithmetic("ADD", x, graph.constant(1, 1, 1, 4))
    graph.pad(x, [(0, 0), (0, 0), (0, 0), (0, 4)])
    mean(graph, x, 3)
    graph.function("RELU_N1_TO_1", x)
    batch, images = builder(2, 6, 5, 4)
    batch.pool(images, "AVERAGE", (2, 2), (2, 2))
    operators = [*graph.operators, *batch.operators]
    names = ["ADD", "PAD", "MEAN", "RELU_N1_TO_1", "AVERAGE_POOL_2D"]
    assert [read(op) for op in operators] == [OtherOperator(name) for name in names]
    model = editor.read(graph.build())
    assert model_cost.uncounted(model, [], "cortex-m4") == names[:4]
    assert model_cost.instructions(model, [], "cortex-m4") == 0


def test_what_no_runtime_runs_has_no_cost() -> None:
    graph, x = builder(1, 6, 5, 4)
    for window, stride in (((1 << 30, 2), (1, 1)), ((2, 2), (0, 1))):
        graph.pool(x, "MAX", (2, 2), (2, 2))
        options = graph.operators[-1].options
        options.filterHeight, options.filterWidth = window
        options.strideH, options.strideW = stride
    mean(graph, x, 1, 2)
    graph.pad(x, [(0, 0), (1, 1), (1, 1), (0, 0)])
    for op in graph.operators[2:]:
        del op.inputs[1]
    scalar = graph.tensor("scalar", (), 0.1, 0)
    graph.function("SOFTMAX", scalar)
    graph.add(BuiltinOperator.ADD, [], graph.tensor("none", (1, 4), 0.1, 0), None, 1)
    assert [read(op).sizes for op in graph.operators] == [()] * 6


def test_a_padding_of_many_rows_takes_no_longer_to_estimate() -> None:
    few, many = (
        instructions("cortex-m0", OtherOperator("PAD", (rows, 5, 3, 1, 1, 1, 1)))
        for rows in (400, 1 << 30)
    )
    assert few is not None
    assert many == pytest.approx(few * (1 << 30) / 400, rel=0.01)


@pytest.mark.parametrize("target", ["cortex-m0", "cortex-m4"])
def test_a_float32_operator_counts_only_as_what_it_becomes(target: str) -> None:
    graph, x = builder(1, 10, quantized=False)
    graph.function("SOFTMAX", x)
    (op,) = graph.operators
    assert read(op) == OtherOperator("SOFTMAX")
    assert read(op, [TensorType.FLOAT32]) == OtherOperator("SOFTMAX", (1, 10))
    assert model_cost.uncounted(editor.read(graph.build()), [], target) == ["SOFTMAX"]


def test_float_convolutions_are_not_counted_as_int8_ones() -> None:
    model = editor.read(lenet_5(quantized=False).build())
    assert "CONV_2D" in model_cost.uncounted(model, [], "cortex-m4")
    counted = model_cost.instructions(model, [], "cortex-m4")
    int8 = editor.read(lenet_5(quantized=True).build())
    assert 0 < counted < model_cost.instructions(int8, [], "cortex-m4")
