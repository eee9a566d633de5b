"""`compress` on depthwise convolutions: one of 5x5 taps becomes 5x1 and 1x5, executed by TFLM."""

from __future__ import annotations

import numpy as np
import pytest

import tflm_sparsesep as ts
from tests.support.models.operator_models import GraphBuilder
from tflm_sparsesep.compression.factorization import DEPTHWISE_SEPARATED
from tflm_sparsesep.compression.layer_compressor import LayerCompressor
from tflm_sparsesep.converters.factorize.depthwise import product
from tflm_sparsesep.converters.op_names import SEPARABLE_CONV_2D
from tflm_sparsesep.converters.tflite import editor
from tflm_sparsesep.runtime.output_quality import sqnr_db

pytestmark = pytest.mark.slow

CHANNELS = 16
SHAPE = (12, 10, CHANNELS)


def depthwise_model(kernel: tuple[int, int], stride: tuple[int, int] = (1, 1)) -> bytes:
    """A depthwise convolution whose kernels are nearly outer products, and a 1x1 one behind it."""
    graph = GraphBuilder(0, quantized=True)
    out = graph.conv(
        graph.input(1, *SHAPE), CHANNELS, kernel, stride=stride, activation="RELU", depthwise=True
    )
    graph.conv(out, 4, (1, 1))
    rng = np.random.default_rng(0)
    weights = product(*(rng.normal(size=(CHANNELS, taps)) for taps in kernel))
    weights += 0.05 * weights.std() * rng.normal(size=weights.shape)
    weights *= 127 / np.abs(weights).max(axis=1, keepdims=True)
    integers = np.rint(weights.T).astype(np.int8).reshape(1, *kernel, CHANNELS)
    graph.operators[0].weights.array = integers
    return graph.build()


@pytest.fixture(scope="module")
def x() -> np.ndarray:
    return np.random.default_rng(1).integers(-128, 128, (80, *SHAPE)).astype(np.int8)


@pytest.mark.parametrize("stride", [(1, 1), (2, 1)])
@pytest.mark.parametrize("target", ["cortex-m4", "cortex-m55"])
def test_seven_by_seven_taps_become_seven_and_seven(
    target: str, stride: tuple[int, int], x: np.ndarray
) -> None:
    model = depthwise_model((7, 7), stride)
    converted = ts.convert(model, target=target).instructions
    budget = ts.Budget(instructions=int(0.9 * converted), min_output_sqnr_db=14)
    result = ts.compress(model, budget=budget, representative_dataset=x, target=target)
    assert "separated, channel by channel" in result.point.forms[0]
    operators = [op.op_name for op in editor.read(result.tflite).operators]
    assert operators[:2] == [SEPARABLE_CONV_2D, SEPARABLE_CONV_2D]
    assert result.point.instructions <= 0.9 * converted
    held_out = x[3::4]
    outputs = [
        ts.run(m, held_out, runtime="tflm", dequantize=True)[0].astype(float)
        for m in (model, result.tflite)
    ]
    # The runtimes round differently: one output in some hundred by one step.
    assert sqnr_db(outputs[:1], outputs[1:]) == pytest.approx(result.point.sqnr_db, abs=0.2)
    assert result.point.sqnr_db >= 14


@pytest.mark.parametrize(("taps", "channels", "is_smaller"), [(7, 48, False), (7, 64, True)])
def test_what_becomes_of_the_file(taps: int, channels: int, is_smaller: bool) -> None:
    graph = GraphBuilder(0, quantized=True)
    graph.conv(graph.input(1, 8, 8, channels), channels, (taps, taps), depthwise=True)
    data = graph.build()
    x = np.random.default_rng(1).integers(-128, 128, (16, 1, 8, 8, channels)).astype(np.int8)
    compressor = LayerCompressor(data, [x], target="cortex-m4", name="model")
    small = compressor.build([DEPTHWISE_SEPARATED]).tflite
    taps_of = [op.weights.shape[1:3] for op in editor.read(small).operators]
    assert taps_of == [(taps, 1), (1, taps)]
    assert (len(small) < len(data)) == is_smaller


def test_three_by_three_taps_stay(x: np.ndarray) -> None:
    """A kernel of its own runs 3x3 taps, faster than others run 3x1 and 1x3."""
    model = depthwise_model((3, 3))
    result = ts.compress(model, budget=ts.Budget(min_output_sqnr_db=10), representative_dataset=x)
    assert "separated" not in " ".join(result.point.forms)
    assert next(editor.read(result.tflite).operators).op_name == SEPARABLE_CONV_2D
