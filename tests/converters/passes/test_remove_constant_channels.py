"""Constant and unread channels leave a chain; outputs in TFLM stay the same bit for bit."""

from __future__ import annotations

import numpy as np
import pytest

from tests.support.models.operator_models import GraphBuilder
from tests.support.models.shared_models import shared_model
from tflm_sparsesep.converters.rewrite import rewrite
from tflm_sparsesep.converters.tflite import editor
from tflm_sparsesep.converters.tflite.editor import Operator
from tflm_sparsesep.runtimes import run

TARGET = "cortex-m4"
DEAD = [1, 2, 5, 6, 9, 11, 12, 13]  # of 16


def block(
    *,
    last: tuple[int, int] = (1, 1),
    padding: str = "SAME",
    middle_padding: str = "SAME",
    activation: str = "RELU",
) -> GraphBuilder:
    """CONV_2D of 16 channels, DEPTHWISE_CONV_2D, CONV_2D, on 8x8 pixels."""
    graph = GraphBuilder(0, quantized=True)
    x = graph.conv(graph.input(1, 8, 8, 3), 16, (3, 3), activation=activation)
    y = graph.conv(
        x, 16, (3, 3), padding=middle_padding, depthwise=True, activation=activation, stride=(2, 2)
    )
    graph.conv(y, 8, last, padding=padding)
    return graph


def silence(op: Operator, channels: list[int], bias: int) -> None:
    """Give channels of a CONV_2D or DEPTHWISE_CONV_2D no weights and this bias."""
    assert op.weights.array is not None
    weights = op.weights.array.copy()
    weights[(..., channels) if op.op_name == "DEPTHWISE_CONV_2D" else channels] = 0
    op.weights.array = weights
    set_bias(op, channels, bias)


def set_bias(op: Operator, channels: list[int], value: int) -> None:
    """Give channels this bias."""
    assert op.bias is not None
    assert op.bias.array is not None
    biases = op.bias.array.copy()
    biases[channels] = value
    op.bias.array = biases


def channels_of(tflite: bytes) -> list[int]:
    """The channels of each operator's output."""
    return [op.outputs[0].shape[-1] for op in editor.read(tflite).operators]


def converted(graph: GraphBuilder) -> bytes:
    """The converted file, whose outputs equal the dense ones in TFLM."""
    dense = graph.build()
    result = rewrite(dense, target=TARGET)
    x = graph.samples(20)
    np.testing.assert_array_equal(run(dense, x)[0], run(result.tflite, x)[0])
    return result.tflite


@pytest.mark.parametrize("silent", [0, 1])
def test_channels_that_are_zero_leave_the_chain(silent: int) -> None:
    """Whichever operator makes them constant: zero is what SAME pads with."""
    graph = block()
    silence(graph.operators[silent], DEAD, -100_000)
    assert channels_of(converted(graph)) == [8, 8, 8]


def test_weights_may_lack_zero_points() -> None:
    """A file may leave them out: they are 0."""
    graph = block()
    silence(graph.operators[0], DEAD, -100_000)
    for op in graph.operators:
        assert op.weights.quantization is not None
        op.weights.quantization.raw.zeroPoint = None
    assert channels_of(rewrite(graph.build(), target=TARGET).tflite) == [8, 8, 8]


def test_other_constants_go_to_the_bias_where_nothing_is_padded() -> None:
    graph = block()
    silence(graph.operators[1], DEAD, 1_000)
    assert channels_of(converted(graph)) == [8, 8, 8]


@pytest.mark.parametrize(("last", "padding", "left"), [((3, 3), "VALID", 8), ((3, 3), "SAME", 16)])
def test_padding_keeps_constants_that_differ_from_it(
    last: tuple[int, int], padding: str, left: int
) -> None:
    graph = block(last=last, padding=padding)
    silence(graph.operators[1], DEAD, 1_000)
    assert channels_of(converted(graph)) == [left, left, 8]


def test_saturated_channels_are_constant() -> None:
    graph = block()
    set_bias(graph.operators[0], DEAD, -(2**30))
    assert channels_of(converted(graph)) == [8, 8, 8]


def test_channels_that_nobody_reads_leave_the_chain() -> None:
    graph = block()
    last = graph.operators[2]
    weights = last.weights.array
    assert weights is not None
    changed = weights.copy()
    changed[..., DEAD] = 0
    last.weights.array = changed
    assert channels_of(converted(graph)) == [8, 8, 8]


def test_a_multiple_of_four_channels_stays() -> None:
    graph = block()
    silence(graph.operators[0], [3, 4, 7], -100_000)
    assert channels_of(converted(graph)) == [16, 16, 8]
    silence(graph.operators[0], list(range(16)), -100_000)
    assert channels_of(converted(graph)) == [4, 4, 8]


def test_a_second_reader_keeps_the_channels() -> None:
    graph = GraphBuilder(0, quantized=True)
    x = graph.conv(graph.input(1, 8, 8, 3), 16, (3, 3), activation="RELU")
    graph.arithmetic("ADD", x, graph.conv(x, 16, (1, 1)))
    silence(graph.operators[0], DEAD, -100_000)
    assert channels_of(converted(graph)) == [16, 16, 16]


def test_a_read_tensor_keeps_the_channels() -> None:
    graph = block()
    silence(graph.operators[0], DEAD, -100_000)
    dense = graph.build(*(op.outputs[0] for op in graph.operators[1:]))
    assert channels_of(rewrite(dense, target=TARGET).tflite) == [16, 16, 8]


def test_shared_weights_keep_the_channels() -> None:
    graph = block()
    silence(graph.operators[0], DEAD, -100_000)
    y = graph.conv(graph.operators[-1].outputs[0], 8, (1, 1))
    graph.conv(y, 8, (1, 1))
    graph.operators[-1].inputs[2] = graph.operators[2].inputs[2]
    assert channels_of(converted(graph))[:2] == [16, 16]


def test_units_of_fully_connected_layers_leave() -> None:
    graph = GraphBuilder(0, quantized=True)
    x = graph.fully_connected(graph.input(1, 20), 16, "RELU")
    graph.fully_connected(x, 5)
    set_bias(graph.operators[0], DEAD, -(2**30))
    assert channels_of(converted(graph)) == [8, 5]


def test_the_reason_says_how_many_left() -> None:
    graph = block()
    silence(graph.operators[0], DEAD, -100_000)
    first = rewrite(graph.build(), target=TARGET).layers[0]
    assert first.reason.startswith("8 constant or unread channels removed; ")
    assert first.rows == 8


def test_a_published_model_loses_three_quarters_of_its_file() -> None:
    data = shared_model("vww_96_int8.tflite")
    result = rewrite(data, target=TARGET)
    assert len(result.tflite) < 0.26 * len(data)
    x = np.random.default_rng(0).integers(-128, 128, (4, 96, 96, 3)).astype(np.int8)
    np.testing.assert_array_equal(run(data, x)[0], run(result.tflite, x)[0])
