"""Packed layers against LiteRT's and TFLM's reference ops on the same .tflite, bit for bit.

Weights carry explicit zeros; shapes, zero points, scales, activations and batches are random.
LiteRT requantizes with one rounding and TFLM with two (about one output in 3,000 differs by 1
between them), so each is compared with the op core as it is built for that runtime.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Literal

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from tests.support import native_ops
from tests.support.models.dense_models import fully_connected_model
from tests.support.sweeps import sweep
from tflm_sparsesep.converters.blob.format import Layout, ValueType
from tflm_sparsesep.converters.blob.layouts import LAYOUTS
from tflm_sparsesep.converters.blob.pack import FullyConnectedWeights, can_pack, pack
from tflm_sparsesep.converters.layers.matrix import read_matrix_layer
from tflm_sparsesep.converters.tflite import editor
from tflm_sparsesep.runtimes import run

pytestmark = pytest.mark.slow

CHUNKS, SHAPES = 6, 40
INT8_LAYOUTS = [layout for layout in LAYOUTS if layout.value_type is ValueType.INT8]


def random_model(rng: np.random.Generator) -> tuple[bytes, np.ndarray]:
    """A dense model of one layer and inputs int8[batch, cols]."""
    cols, rows = int(rng.integers(1, 1101)), int(rng.integers(1, 401))
    batch = int(rng.integers(1, 10))
    weights = rng.integers(-127, 128, (rows, cols)).astype(np.int8)
    weights[rng.random((rows, cols)) < rng.choice([0.0, 0.5, 0.9, 0.98, 1.0])] = 0
    # Output scales around what the accumulators need, now and then far too fine or too coarse.
    spread = 0.02 * 0.01 * 74 * 74 * np.sqrt(cols)
    scales = rng.uniform(0.005, 0.02, rows if rng.random() < 0.5 else 1)
    model = fully_connected_model(
        weights,
        rng.integers(-20000, 20000, rows).astype(np.int32) if rng.random() < 0.8 else None,
        input_shape=(batch, cols),
        input_scale=float(rng.uniform(0.01, 0.03)),
        input_zero_point=int(rng.integers(-128, 128)),
        weight_scales=scales,
        output_scale=float(spread / 40 * 2.0 ** rng.integers(-8, 3)),
        output_zero_point=int(rng.integers(-128, 128)),
        activation=rng.choice(["NONE", "RELU", "RELU6"]),
    )
    return model, rng.integers(-128, 128, (batch, cols)).astype(np.int8)


def litert_reference(model: bytes, inputs: np.ndarray) -> np.ndarray:
    interpreter = Interpreter(
        model_content=model, experimental_op_resolver_type=OpResolverType.BUILTIN_REF
    )
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], inputs)
    interpreter.invoke()
    found: np.ndarray = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
    return found


def packed_result(
    model: bytes,
    inputs: np.ndarray,
    layouts: Iterator[Layout],
    rounding: Literal["single", "double"],
) -> np.ndarray:
    """The layer in the next layout that can hold it."""
    (op,) = editor.read(model).subgraphs[0].operators
    matrix = read_matrix_layer(op)
    layer, options = matrix.weights, matrix.options
    assert isinstance(layer, FullyConnectedWeights)
    blob = pack(layer, next(layout for layout in layouts if can_pack(layer, layout)))
    rows = len(layer.bias)
    return native_ops.sparse_fully_connected(
        options.to_bytes(), blob, inputs, rows, rounding=rounding
    )


@pytest.mark.sweep
@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_random_shapes(chunk: int) -> None:
    layouts = itertools.cycle(INT8_LAYOUTS)
    saturated = count = 0
    for rng in sweep(chunk, SHAPES):
        model, inputs = random_model(rng)
        expected = litert_reference(model, inputs)
        single = packed_result(model, inputs, layouts, "single")
        np.testing.assert_array_equal(single, expected)
        (tflm,) = run(model, inputs[None], runtime="tflm")
        double = packed_result(model, inputs, layouts, "double")
        np.testing.assert_array_equal(double, tflm.reshape(double.shape))
        saturated += bool(np.all(np.abs(expected.astype(int)) >= 127))
        count += 1
    # The comparison would mean little if most outputs sat at the ends of int8.
    assert saturated < count / 4
