"""Operators read as layers: equal to LiteRT up to int8, and which runs are found."""

from __future__ import annotations

import numpy as np
import pytest

from tests.support.models.operator_models import GraphBuilder, conv1d, lenet_5
from tflm_sparsesep.converters.factorize.chain import forward
from tflm_sparsesep.converters.layers import real_chain
from tflm_sparsesep.converters.layers.quantized import Unsupported
from tflm_sparsesep.converters.tflite import editor
from tflm_sparsesep.runtime import samples
from tflm_sparsesep.runtime.litert_tensors import litert_tensors


@pytest.mark.parametrize("make", [lenet_5, conv1d])
def test_layers_give_what_the_operators_give(make: object) -> None:
    graph = make(quantized=True)  # type: ignore[operator]
    tflite, inputs = graph.build(), graph.samples(30)
    main = editor.read(tflite).subgraphs[0]
    (run,) = real_chain.runs(main)
    operators = [main.operators[i] for i in run]
    layers = real_chain.read(operators)
    last = operators[-1].outputs[0]
    assert last.quantization is not None
    values = litert_tensors(tflite, [main.tensors.index(last)], inputs)[0]
    wanted = samples.dequantize(values, last).reshape(30, -1)
    x = samples.dequantize(inputs[0], main.inputs[0]).reshape(30, -1)
    flow = forward(layers, x.astype(np.float64))
    # int8 tensors between add noise of half a step each: an SQNR of more than 25 dB is left.
    noise = np.square(flow.inputs[-1].reshape(30, -1) - wanted).sum()
    assert noise < np.square(wanted).sum() / 300


def test_runs_end_where_something_else_is_read() -> None:
    g = GraphBuilder(1, quantized=True)
    x = g.conv(g.input(1, 12, 12, 4), 8, (3, 3), activation="RELU")
    y = g.conv(x, 8, (3, 3))
    z = g.arithmetic("ADD", x, y)
    g.fully_connected(g.reshape(g.pool(z, "MAX", (2, 2), (2, 2)), 1, 288), 10)
    main = editor.read(g.build()).subgraphs[0]
    assert real_chain.runs(main) == [range(1), range(1, 2), range(5, 6)]


@pytest.mark.parametrize(
    ("kind", "size", "stride", "padding"),
    [
        ("AVERAGE", (2, 2), (2, 2), "VALID"),
        ("MAX", (3, 3), (2, 2), "VALID"),
        ("MAX", (5, 5), (5, 5), "SAME"),
    ],
)
def test_other_pools_are_refused(
    kind: str, size: tuple[int, int], stride: tuple[int, int], padding: str
) -> None:
    g = GraphBuilder(2, quantized=True)
    g.pool(g.input(1, 12, 12, 4), kind, size, stride, padding)
    (op,) = editor.read(g.build()).subgraphs[0].operators
    with pytest.raises(Unsupported):
        real_chain.read([op])
