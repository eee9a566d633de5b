"""Numbers of quantized layers, and operators that make a model unusable."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from tests.support.models.dense_models import single_layer_model, sparse_weights
from tflm_sparsesep.converters.blob.pack import FullyConnectedWeights
from tflm_sparsesep.converters.errors import ModelError
from tflm_sparsesep.converters.layers.quantized import (
    Unsupported,
    check_operator,
    dense_bytes,
    layer_name,
    read_numbers,
    read_weights,
)
from tflm_sparsesep.converters.tflite import editor
from tflm_sparsesep.converters.tflite.editor import Operator, Tensor

WEIGHTS = sparse_weights(6, 10, 0.5)


def operator() -> Operator:
    (op,) = editor.read(single_layer_model(WEIGHTS)).operators
    return op


def test_numbers_of_a_layer() -> None:
    op = operator()
    check_operator(op)
    numbers, options = read_numbers(op, read_weights(op))
    assert isinstance(numbers, FullyConnectedWeights)
    np.testing.assert_array_equal(numbers.weights, WEIGHTS)
    np.testing.assert_array_equal(numbers.bias, np.arange(6))
    real = 0.02 * 0.01 / 0.3
    np.testing.assert_allclose(numbers.multiplier * 2.0 ** (numbers.shift - 31.0), real, rtol=1e-6)
    assert (options.activation_min, options.activation_max) == (3, 127)
    assert dense_bytes([op]) == 60 + 24 + 24  # weights, bias, and a scale and zero_point of each


def test_the_name_of_a_layer_has_no_fused_parts() -> None:
    op = operator()
    op.outputs[0].name = "dense/MatMul;dense/Relu"
    assert layer_name(op) == "dense/MatMul"
    op.outputs.clear()
    assert layer_name(op) == "FULLY_CONNECTED"


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda op: setattr(op, "version", 99), r"version 99, accepted: 1\.\.14"),
        (lambda op: op.inputs.__setitem__(1, None), "lacks its input, weights or output"),
        (lambda op: op.inputs.__setitem__(1, Tensor("w", (0, 8))), "accepted: no dimension of 0"),
        (lambda op: op.inputs.__setitem__(1, Tensor("w", (8,))), "accepted: 2 dimensions"),
        (lambda op: op.inputs.__setitem__(0, Tensor("x", ())), "at least 1 of the input"),
        (lambda op: op.outputs.clear(), "lacks its input, weights or output"),
        (lambda op: op.inputs.__setitem__(1, Tensor("w", (2, 3, 8))), "accepted: 2 dimensions"),
    ],
)
def test_operators_that_no_runtime_runs(damage: Callable[[Operator], None], reason: str) -> None:
    op = operator()
    damage(op)
    with pytest.raises(ModelError, match=reason):
        check_operator(op)


def test_weights_that_are_computed_stay() -> None:
    op = operator()
    op.weights.buffer = None
    with pytest.raises(Unsupported, match="not a dense constant"):
        read_weights(op)
