"""The test models of `dense_models` run in both runtimes and compute what they say."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.support.litert_reference import int8_inputs, run_litert
from tests.support.models import dense_models

INPUT_SCALE, INPUT_ZERO_POINT, OUTPUT_SCALE, OUTPUT_ZERO_POINT = 0.05, -3, 0.3, 5
PER_ROW = np.linspace(0.005, 0.02, 7)


def run_tflm(data: bytes, inputs: NDArray[Any]) -> NDArray[Any]:
    pytest.importorskip("tflite_micro", reason="pip install tflite-micro")
    from tflite_micro.python.tflite_micro import runtime

    interpreter = runtime.Interpreter.from_bytes(data)
    interpreter.set_input(inputs, 0)
    interpreter.invoke()
    return np.array(interpreter.get_output(0))


def parameters(seed: int) -> tuple[NDArray[np.int8], NDArray[np.int32]]:
    """Weights [7, 13] and bias [7]."""
    rng = np.random.default_rng(seed)
    weights = rng.integers(-127, 128, (7, 13)).astype(np.int8)
    return weights, rng.integers(-1000, 1000, 7).astype(np.int32)


def expected(
    inputs: NDArray[np.int8],
    weights: NDArray[np.int8],
    bias: NDArray[np.int32] | None,
    weight_scales: Any,
    activation: str,
) -> NDArray[np.float64]:
    """Output before rounding, [..., 7]."""
    centred = inputs.astype(np.int64) - INPUT_ZERO_POINT
    acc = centred @ weights.T.astype(np.int64) + (0 if bias is None else bias)
    real = acc * INPUT_SCALE * weight_scales
    low, high = {"NONE": (-np.inf, np.inf), "RELU": (0, np.inf), "RELU6": (0, 6)}[activation]
    scaled: NDArray[np.float64] = np.clip(real, low, high) / OUTPUT_SCALE + OUTPUT_ZERO_POINT
    return np.clip(scaled, -128, 127)


# LiteRT rounds once, TFLM rounds the high product and then the shift: where they differ, by one
# step, both are within one step of the real value (1e-5 for the float32 scales).
TOLERANCE = 1 + 1e-5


def assert_computes(data: bytes, inputs: NDArray[Any], wanted: NDArray[np.float64]) -> None:
    for run in (run_litert, run_tflm):
        outputs = run(data, inputs)
        assert outputs.shape == wanted.shape
        assert np.abs(outputs - wanted).max() <= TOLERANCE


@pytest.mark.parametrize(
    ("activation", "keep_num_dims", "with_bias", "weight_scales"),
    list(product(["NONE", "RELU", "RELU6"], [False, True], [False, True], [0.01, PER_ROW])),
)
def test_fully_connected(
    activation: dense_models.Activation, keep_num_dims: bool, with_bias: bool, weight_scales: Any
) -> None:
    weights, bias = parameters(seed=0)
    used_bias = bias if with_bias else None
    data = dense_models.fully_connected_model(
        weights,
        used_bias,
        input_shape=[2, 3, 13],
        input_scale=INPUT_SCALE,
        input_zero_point=INPUT_ZERO_POINT,
        weight_scales=weight_scales,
        output_scale=OUTPUT_SCALE,
        output_zero_point=OUTPUT_ZERO_POINT,
        activation=activation,
        keep_num_dims=keep_num_dims,
    )
    inputs = int8_inputs([2, 3, 13])
    wanted = expected(inputs, weights, used_bias, weight_scales, activation)
    assert_computes(data, inputs, wanted if keep_num_dims else wanted.reshape(6, 7))


@pytest.mark.parametrize("activation", ["NONE", "RELU", "RELU6"])
def test_conv_1x1(activation: dense_models.Activation) -> None:
    weights, bias = parameters(seed=1)
    data = dense_models.conv_1x1_model(
        weights,
        bias,
        input_shape=[1, 4, 5, 13],
        input_scale=INPUT_SCALE,
        input_zero_point=INPUT_ZERO_POINT,
        weight_scales=PER_ROW,
        output_scale=OUTPUT_SCALE,
        output_zero_point=OUTPUT_ZERO_POINT,
        activation=activation,
    )
    inputs = int8_inputs([1, 4, 5, 13])
    assert_computes(data, inputs, expected(inputs, weights, bias, PER_ROW, activation))


def test_chain() -> None:
    weights, bias = parameters(seed=2)
    identity = (np.eye(7) * 100).astype(np.int8)
    first = dense_models.FullyConnectedLayer(
        weights, bias, PER_ROW, OUTPUT_SCALE, OUTPUT_ZERO_POINT, "RELU"
    )
    # 100 * 0.01 = 1 and the same output parameters: this layer passes its input on.
    second = dense_models.FullyConnectedLayer(
        identity, None, 0.01, OUTPUT_SCALE, OUTPUT_ZERO_POINT, keep_num_dims=True
    )
    data = dense_models.fully_connected_chain(
        [first, second],
        input_shape=[1, 13],
        input_scale=INPUT_SCALE,
        input_zero_point=INPUT_ZERO_POINT,
    )
    inputs = int8_inputs([1, 13])
    assert_computes(data, inputs, expected(inputs, weights, bias, PER_ROW, "RELU"))


@pytest.mark.parametrize("keep_num_dims", [False, True])
def test_float_fully_connected(keep_num_dims: bool) -> None:
    rng = np.random.default_rng(3)
    weights, bias = rng.normal(size=(7, 13)), rng.normal(size=7)
    data = dense_models.float_fully_connected_model(
        weights.astype(np.float32),
        bias.astype(np.float32),
        input_shape=[2, 3, 13],
        activation="RELU",
        keep_num_dims=keep_num_dims,
    )
    inputs = rng.normal(size=(2, 3, 13)).astype(np.float32)
    wanted = np.maximum(inputs @ weights.T + bias, 0)
    for run in (run_litert, run_tflm):
        # 14 products and sums of magnitude < 20 in float32: 14 * 20 * 2^-24 < 2e-5.
        outputs = run(data, inputs)
        np.testing.assert_allclose(
            outputs, wanted if keep_num_dims else wanted.reshape(6, 7), rtol=0, atol=2e-5
        )
