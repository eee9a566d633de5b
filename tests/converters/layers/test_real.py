"""Real numbers of int8 layers, there and back."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import ArrayLike

from tests.support.models.dense_models import Activation, fully_connected_model
from tests.support.tensors import quantization_of, values_of
from tflm_sparsesep.converters.layers import real as real_layer
from tflm_sparsesep.converters.layers.quantized import Unsupported
from tflm_sparsesep.converters.tflite import editor
from tflm_sparsesep.converters.tflite.editor import Operator, TensorType
from tflm_sparsesep.runtimes import run

ROWS, COLS = 7, 13
PER_ROW = np.linspace(0.01, 0.03, ROWS).astype(np.float32)


def a_model(
    *, bias: bool = True, scales: ArrayLike = PER_ROW, activation: Activation = "RELU"
) -> bytes:
    rng = np.random.default_rng(0)
    return fully_connected_model(
        rng.integers(-127, 128, (ROWS, COLS)).astype(np.int8),
        rng.integers(-900, 900, ROWS).astype(np.int32) if bias else None,
        input_shape=(1, COLS),
        input_scale=0.05,
        input_zero_point=3,
        weight_scales=scales,
        output_scale=0.07,
        output_zero_point=-128 if activation == "RELU" else 5,
        activation=activation,
    )


def only_operator(data: bytes) -> Operator:
    return editor.read(data).subgraphs[0].operators[0]


@pytest.mark.parametrize("activation", ["NONE", "RELU", "RELU6"])
@pytest.mark.parametrize("scales", [PER_ROW, 0.02])
def test_real_numbers_are_what_runtimes_compute(activation: Activation, scales: ArrayLike) -> None:
    data = a_model(activation=activation, scales=scales)
    layer = real_layer.read(only_operator(data))
    x = np.random.default_rng(1).integers(-128, 128, (50, COLS)).astype(np.int8)
    z = (x.astype(float) - 3) * 0.05 @ layer.weights.T + layer.bias
    wanted = np.clip(z, layer.lower, layer.upper)
    (found,) = run(data, x, runtime="litert", dequantize=True)
    # Rounded to a step of the output; 0.51 as scales and multipliers are float32.
    np.testing.assert_allclose(found, wanted, atol=0.51 * 0.07)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("scales", [PER_ROW, 0.02])
def test_written_numbers_are_read_again(bias: bool, scales: ArrayLike) -> None:
    model = editor.read(a_model(bias=bias, scales=scales))
    op = model.subgraphs[0].operators[0]
    rng = np.random.default_rng(2)
    weights, new_bias = rng.normal(size=(ROWS, COLS)), rng.normal(size=ROWS)
    weights[2], weights[3, :4] = 0, 0
    real_layer.write(op, weights, new_bias)
    editor.prune_unused(model)
    op = only_operator(editor.write(model))
    found = real_layer.read(op)
    written = quantization_of(op.weights).scales
    assert len(written) == np.size(scales)
    step = np.broadcast_to(written.astype(float), ROWS)
    # Half a step of the weights; 1e-6 for scales in float32.
    assert np.all(np.abs(found.weights - weights) <= 0.5 * step[:, None] + 1e-6)
    assert np.all(np.abs(found.bias - new_bias) <= 0.5 * 0.05 * step + 1e-6)
    np.testing.assert_array_equal(found.weights[weights == 0], 0)
    assert np.abs(values_of(op.weights)).max() == 127
    assert op.input(2).type == TensorType.INT32


def test_a_row_of_zeros_keeps_its_scale() -> None:
    op = only_operator(a_model())
    weights = np.ones((ROWS, COLS))
    weights[4] = 0
    real_layer.write(op, weights, np.zeros(ROWS))
    scales = quantization_of(op.weights).scales
    assert scales[4] == PER_ROW[4]
    np.testing.assert_allclose(scales[0], 1 / 127, rtol=1e-6)


def test_constants_shared_with_others_stay() -> None:
    op = only_operator(a_model())
    weights, bias = op.inputs[1:3]
    constants = values_of(weights), values_of(bias), quantization_of(weights).scales
    before = [constant.copy() for constant in constants]
    real_layer.write(op, np.ones((ROWS, COLS)), np.ones(ROWS))
    assert op.inputs[1] is not weights
    assert op.inputs[2] is not bias
    after = values_of(weights), values_of(bias), quantization_of(weights).scales
    for a, b in zip(before, after, strict=True):
        np.testing.assert_array_equal(a, b)


def test_other_types_are_refused() -> None:
    op = only_operator(a_model())
    op.input(0).type = TensorType.INT16
    with pytest.raises(Unsupported, match="INT16"):
        real_layer.read(op)
