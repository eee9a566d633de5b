"""Two int8 depthwise convolutions for one: LiteRT and TFLM compute with them the outer product."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.support.models.operator_models import GraphBuilder
from tests.support.tensors import quantization_of
from tflm_sparsesep.converters.factorize.depthwise import outputs as products
from tflm_sparsesep.converters.factorize.depthwise import product
from tflm_sparsesep.converters.factorize.gram import patches
from tflm_sparsesep.converters.layers import real, split
from tflm_sparsesep.converters.layers.quantized import Unsupported
from tflm_sparsesep.converters.tflite import editor
from tflm_sparsesep.converters.tflite.editor import Operator
from tflm_sparsesep.runtimes import run

SCALE, ZERO = 0.05, 3  # of GraphBuilder's inputs
CHANNELS = 6


def one_layer(
    kernel: tuple[int, int], units: int = CHANNELS, **options: Any
) -> tuple[bytes, Operator]:
    graph = GraphBuilder(0, quantized=True)
    graph.conv(graph.input(1, 11, 13, CHANNELS), units, kernel, depthwise=True, **options)
    data = graph.build()
    (op,) = editor.read(data).operators
    return data, op


@pytest.mark.parametrize("padding", ["SAME", "VALID"])
@pytest.mark.parametrize("stride", [(1, 1), (2, 1), (2, 3)])
@pytest.mark.parametrize("kernel", [(3, 5), (4, 2)])
def test_a_pair_of_depthwise_convolutions(
    padding: str, stride: tuple[int, int], kernel: tuple[int, int]
) -> None:
    data, op = one_layer(kernel, padding=padding, stride=stride, activation="RELU")
    layer = real.read(op)
    rng = np.random.default_rng(1)
    x = rng.integers(-128, 128, (60, 11, 13, CHANNELS)).astype(np.int8)
    images = (x.astype(float) - ZERO) * SCALE
    windows = patches(images, kernel, strides=stride, same=padding == "SAME")
    windows = windows.reshape(-1, kernel[0] * kernel[1], CHANNELS)
    size = 3 * np.abs(layer.weights).max()
    down = rng.normal(size=(CHANNELS, kernel[0])) * size
    right = rng.normal(size=(CHANNELS, kernel[1])) / np.sqrt(kernel[0] * kernel[1])

    model = editor.read(data)
    main = model.subgraphs[0]
    main.operators = split.split_depthwise(main.operators[0], down, right, layer.bias, windows)
    editor.prune_unused(model)
    pair = editor.write(model)
    shapes = [one.weights.shape for one in editor.read(pair).operators]
    assert shapes == [(1, kernel[0], 1, CHANNELS), (1, 1, kernel[1], CHANNELS)]

    clear = products(product(down, right), windows) + layer.bias
    wanted = np.clip(clear, layer.lower, layer.upper)
    assert 0.02 < (wanted > layer.lower).mean() < 0.98
    # Half a step of what lies between, and of either stage's weights (the largest / 127), each
    # times all that it is multiplied with, and half a step of the output.
    columns = windows.reshape(-1, *kernel, CHANNELS)
    between = np.einsum("nijc,ci->njc", columns, down)
    reach = np.abs(between).max(axis=(0, 1))
    of_weights = np.abs(columns).sum(axis=1).max(axis=(0, 1)) * np.abs(down).max(axis=1) / 254
    of_right = kernel[1] * reach * np.abs(right).max(axis=1) / 254
    error = (of_weights + reach / 254) * np.abs(right).sum(axis=1) + of_right
    output_scale = float(quantization_of(op.outputs[0]).scales[0])
    (found,) = run(pair, x, runtime="litert", dequantize=True)
    assert np.all(np.abs(found.reshape(wanted.shape) - wanted) <= error + 0.51 * output_scale)
    (in_tflm,) = run(pair, x[:20], runtime="tflm", dequantize=True)
    # Runtimes round some numbers between differently, by one step, and the output by another.
    step = reach / 127 * np.abs(right).sum(axis=1)
    assert np.all(np.abs(in_tflm - found[:20]) <= step + output_scale + 1e-6)


def test_what_is_read_computes_the_layer() -> None:
    data, op = one_layer((3, 5), stride=(2, 1))
    layer = real.read(op)
    assert layer.weights.shape == (CHANNELS, 15)
    x = np.random.default_rng(2).integers(-128, 128, (5, 11, 13, CHANNELS)).astype(np.int8)
    windows = patches((x.astype(float) - ZERO) * SCALE, (3, 5), strides=(2, 1), same=True)
    windows = windows.reshape(-1, 15, CHANNELS)
    wanted = np.clip(products(layer.weights, windows) + layer.bias, layer.lower, layer.upper)
    (found,) = run(data, x, runtime="litert", dequantize=True)
    scale = float(quantization_of(op.outputs[0]).scales[0])
    np.testing.assert_allclose(found.reshape(wanted.shape), wanted, atol=0.51 * scale)


@pytest.mark.parametrize(
    ("options", "reason"),
    [({"units": 2 * CHANNELS}, "several outputs"), ({"dilation": (2, 2)}, "dilated")],
)
def test_others_are_refused(options: dict[str, Any], reason: str) -> None:
    _, op = one_layer((3, 3), **options)
    with pytest.raises(Unsupported, match=reason):
        real.read(op)
