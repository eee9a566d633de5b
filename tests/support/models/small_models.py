"""Models of two operators, for tests of what runs them."""

from __future__ import annotations

import numpy as np

from tests.support.models.dense_models import FullyConnectedLayer, fully_connected_chain
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
)

INPUT_SCALE, INPUT_ZERO_POINT = 0.5, 3
OUTPUT_SCALE, OUTPUT_ZERO_POINT = 2.0, -7


def dense_model(batch: int = 1) -> bytes:
    """Return a model 30 -> 20 -> 10 in int8."""
    rng = np.random.default_rng(4)

    def layer(rows: int, cols: int) -> FullyConnectedLayer:
        weights = rng.integers(-127, 128, (rows, cols)).astype(np.int8)
        bias = rng.integers(-1000, 1000, rows).astype(np.int32)
        return FullyConnectedLayer(weights, bias, 0.01, OUTPUT_SCALE, OUTPUT_ZERO_POINT, "RELU")

    return fully_connected_chain(
        [layer(20, 30), layer(10, 20)],
        input_shape=(batch, 30),
        input_scale=INPUT_SCALE,
        input_zero_point=INPUT_ZERO_POINT,
    )


def int8_samples(count: int, seed: int = 5) -> np.ndarray:
    """Return inputs [count, 30] of `dense_model`."""
    return np.random.default_rng(seed).integers(-128, 128, (count, 30)).astype(np.int8)


def add_model() -> bytes:
    """Return a model of inputs a and b, int8[1, 4], and outputs a + b and 2 a + b."""

    def activation(name: str) -> Tensor:
        return Tensor(name, (1, 4), TensorType.INT8, quantization=Quantization(1.0, 0))

    a, b, total, twice = (activation(name) for name in ("a", "b", "total", "twice"))
    operators = [
        Operator(BuiltinOperator.ADD, [*pair], [out], version=2, options=schema.AddOptionsT())
        for pair, out in (([a, b], total), ([total, a], twice))
    ]
    main = Subgraph("main", inputs=[a, b], outputs=[total, twice], operators=operators)
    return editor.write(Model([main]))
