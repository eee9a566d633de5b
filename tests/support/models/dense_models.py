"""Small dense .tflite models built from numpy arrays, for tests.

Every model has one input, "input", and one output. They run in LiteRT and in TFLM.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tflm_sparsesep.converters.tflite import editor
from tflm_sparsesep.converters.tflite.editor import (
    BuiltinOperator,
    Model,
    Operator,
    Quantization,
    Subgraph,
    Tensor,
    TensorType,
    schema,
    schema_object,
)

Activation = Literal["NONE", "RELU", "RELU6"]

# The versions that TensorFlow's converter gives these ops (float: 1).
_FULLY_CONNECTED_INT8 = 4
_FULLY_CONNECTED_KEEP_NUM_DIMS = 5
_CONV_2D_INT8 = 3


@dataclass(frozen=True)
class FullyConnectedLayer:
    """One int8 FULLY_CONNECTED of a chain.

    Attributes:
        weights: int8 [rows, cols], zero point 0.
        bias: int32 [rows], or None for none.
        weight_scales: one, or one per row.
        output_scale, output_zero_point: of the output tensor.
        keep_num_dims: output [..., rows] instead of [batch, rows].
        version: of the op; None for the one the TensorFlow converter would write.
    """

    weights: NDArray[np.int8]
    bias: NDArray[np.int32] | None
    weight_scales: ArrayLike
    output_scale: float
    output_zero_point: int
    activation: Activation = "NONE"
    keep_num_dims: bool = False
    version: int | None = None


def fully_connected_model(
    weights: NDArray[np.int8],
    bias: NDArray[np.int32] | None,
    *,
    input_shape: Sequence[int],
    input_scale: float,
    input_zero_point: int,
    weight_scales: ArrayLike,
    output_scale: float,
    output_zero_point: int,
    activation: Activation = "NONE",
    keep_num_dims: bool = False,
    version: int | None = None,
) -> bytes:
    """A model of one int8 FULLY_CONNECTED; arguments as in `FullyConnectedLayer`."""
    layer = FullyConnectedLayer(
        weights,
        bias,
        weight_scales,
        output_scale,
        output_zero_point,
        activation,
        keep_num_dims,
        version,
    )
    return fully_connected_chain(
        [layer],
        input_shape=input_shape,
        input_scale=input_scale,
        input_zero_point=input_zero_point,
    )


def fully_connected_chain(
    layers: Sequence[FullyConnectedLayer],
    *,
    input_shape: Sequence[int],
    input_scale: float,
    input_zero_point: int,
) -> bytes:
    """A model of int8 FULLY_CONNECTED layers, each reading the one before."""
    current = _activation("input", input_shape, input_scale, input_zero_point)
    inputs, operators = [current], []
    for i, layer in enumerate(layers):
        operators.append(_fully_connected(layer, current, f"fc{i}"))
        current = operators[-1].outputs[0]
    return _model(inputs, operators)


def float_fully_connected_model(
    weights: NDArray[np.float32],
    bias: NDArray[np.float32] | None,
    *,
    input_shape: Sequence[int],
    activation: Activation = "NONE",
    keep_num_dims: bool = False,
    version: int | None = None,
) -> bytes:
    """A model of one float32 FULLY_CONNECTED, weights [rows, cols]."""
    output_shape = _output_shape(input_shape, weights.shape, keep_num_dims)
    operator = Operator(
        BuiltinOperator.FULLY_CONNECTED,
        [
            Tensor("input", input_shape),
            Tensor.constant("fc0/weights", weights.astype(np.float32)),
            None if bias is None else Tensor.constant("fc0/bias", bias.astype(np.float32)),
        ],
        [Tensor("fc0", output_shape)],
        version=version or (_FULLY_CONNECTED_KEEP_NUM_DIMS if keep_num_dims else 1),
        options=_fully_connected_options(activation, keep_num_dims),
    )
    return _model([operator.tensors[0]], [operator])


def conv_1x1_model(
    weights: NDArray[np.int8],
    bias: NDArray[np.int32] | None,
    *,
    input_shape: Sequence[int],
    input_scale: float,
    input_zero_point: int,
    weight_scales: ArrayLike,
    output_scale: float,
    output_zero_point: int,
    activation: Activation = "NONE",
    version: int = _CONV_2D_INT8,
) -> bytes:
    """A model of one pointwise int8 CONV_2D of stride 1.

    Args:
        weights: int8 [channels out, channels in], zero point 0.
        bias: int32 [channels out]; None for zeros, CONV_2D on TFLM has no model without.
        input_shape: [batch, height, width, channels in].
        weight_scales: one, used for every channel, or one per channel.
    """
    rows, cols = weights.shape
    scales = np.broadcast_to(np.asarray(weight_scales, np.float32), (rows,))
    bias_values = np.zeros(rows, np.int32) if bias is None else bias
    operator = Operator(
        BuiltinOperator.CONV_2D,
        [
            _activation("input", input_shape, input_scale, input_zero_point),
            Tensor.constant(
                "conv0/weights",
                weights.astype(np.int8).reshape(rows, 1, 1, cols),
                quantization=Quantization(scales),
            ),
            _bias("conv0/bias", bias_values, input_scale, scales),
        ],
        [_activation("conv0", [*input_shape[:3], rows], output_scale, output_zero_point)],
        version=version,
        options=schema_object(
            schema.Conv2DOptionsT,
            padding=schema.Padding.VALID,
            strideH=1,
            strideW=1,
            fusedActivationFunction=getattr(schema.ActivationFunctionType, activation),
        ),
    )
    return _model([operator.tensors[0]], [operator])


def _fully_connected(layer: FullyConnectedLayer, source: Tensor, name: str) -> Operator:
    assert source.quantization is not None
    input_scale = float(source.quantization.scales[0])
    output_shape = _output_shape(source.shape, layer.weights.shape, layer.keep_num_dims)
    bias = layer.bias
    weights = Tensor.constant(
        f"{name}/weights",
        layer.weights.astype(np.int8),
        quantization=Quantization(layer.weight_scales),
    )
    default_version = (
        _FULLY_CONNECTED_KEEP_NUM_DIMS if layer.keep_num_dims else _FULLY_CONNECTED_INT8
    )
    return Operator(
        BuiltinOperator.FULLY_CONNECTED,
        [
            source,
            weights,
            None if bias is None else _bias(f"{name}/bias", bias, input_scale, layer.weight_scales),
        ],
        [_activation(name, output_shape, layer.output_scale, layer.output_zero_point)],
        version=default_version if layer.version is None else layer.version,
        options=_fully_connected_options(layer.activation, layer.keep_num_dims),
    )


def _output_shape(
    input_shape: Sequence[int], weights_shape: Sequence[int], keep_num_dims: bool
) -> list[int]:
    rows, cols = weights_shape
    if keep_num_dims:
        return [*input_shape[:-1], rows]
    return [math.prod(input_shape) // cols, rows]


def _fully_connected_options(activation: Activation, keep_num_dims: bool) -> Any:
    return schema_object(
        schema.FullyConnectedOptionsT,
        fusedActivationFunction=getattr(schema.ActivationFunctionType, activation),
        keepNumDims=keep_num_dims,
    )


def _activation(name: str, shape: Sequence[int], scale: float, zero_point: int) -> Tensor:
    return Tensor(name, shape, TensorType.INT8, quantization=Quantization(scale, zero_point))


def _bias(
    name: str, bias: NDArray[np.int32], input_scale: float, weight_scales: ArrayLike
) -> Tensor:
    scales = np.float32(input_scale) * np.asarray(weight_scales, np.float32)
    return Tensor.constant(name, bias.astype(np.int32), quantization=Quantization(scales))


def _model(inputs: list[Tensor], operators: list[Operator]) -> bytes:
    subgraph = Subgraph("main", inputs=inputs, outputs=operators[-1].outputs, operators=operators)
    return editor.write(Model([subgraph], description="tflm-sparsesep test model"))


def small_chain(seed: int = 0) -> bytes:
    """Return an int8 model of two FULLY_CONNECTED, 12 -> 8 -> 4."""
    rng = np.random.default_rng(seed)
    layers = [
        FullyConnectedLayer(
            rng.integers(-127, 128, (rows, cols)).astype(np.int8),
            rng.integers(-500, 500, rows).astype(np.int32),
            weight_scales=rng.uniform(0.01, 0.02, rows),
            output_scale=0.3,
            output_zero_point=3,
            activation="RELU",
        )
        for rows, cols in ((8, 12), (4, 8))
    ]
    return fully_connected_chain(layers, input_shape=[1, 12], input_scale=0.1, input_zero_point=-1)


def sparse_weights(rows: int, cols: int, zeros: float, seed: int = 0) -> NDArray[np.int8]:
    """Return random int8 weights [rows, cols], a fraction `zeros` of them zero."""
    rng = np.random.default_rng(seed)
    weights = rng.integers(-127, 128, (rows, cols)).astype(np.int8)
    weights[rng.random((rows, cols)) < zeros] = 0
    return weights


def single_layer_model(weights: NDArray[np.int8], **changes: Any) -> bytes:
    """Return an int8 model of one FULLY_CONNECTED with RELU; `changes` replace its parameters."""
    arguments: dict[str, Any] = {
        "input_shape": (1, weights.shape[1]),
        "input_scale": 0.02,
        "input_zero_point": -5,
        "weight_scales": 0.01,
        "output_scale": 0.3,
        "output_zero_point": 3,
        "activation": "RELU",
    }
    bias = np.arange(len(weights), dtype=np.int32)
    return fully_connected_model(weights, bias, **(arguments | changes))
