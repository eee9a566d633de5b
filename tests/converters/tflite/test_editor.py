"""The editor: models that are read and written again compute the same."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.support.litert_reference import int8_inputs, run_litert
from tests.support.models.dense_models import small_chain
from tests.support.models.shared_models import shared_model
from tflm_sparsesep.converters.tflite import editor
from tflm_sparsesep.converters.tflite.editor import (
    BuiltinOperator,
    TensorType,
    schema,
)

SHARED_NAMES = ("ad01_fp32.tflite", "ad01_int8.tflite", "kws_ref_model.tflite")


@pytest.mark.parametrize("name", SHARED_NAMES)
@pytest.mark.parametrize("prune", [False, True])
def test_rebuilt_model_computes_the_same(name: str, prune: bool) -> None:
    data = shared_model(name)
    model = editor.read(data, name=name)
    if prune:
        editor.prune_unused(model)
    rebuilt = editor.write(model)
    source = model.subgraphs[0].inputs[0]
    inputs: NDArray[Any] = int8_inputs(list(source.shape))
    if source.type == TensorType.FLOAT32:
        inputs = inputs.astype(np.float32) / 16
    np.testing.assert_array_equal(run_litert(rebuilt, inputs), run_litert(data, inputs))
    assert len(rebuilt) < len(data) + 1024
    assert editor.write(editor.read(rebuilt)) == rebuilt


def test_operators_tensors_and_constants_are_objects() -> None:
    model = editor.read(small_chain(), name="chain.tflite")
    subgraph = model.subgraphs[0]
    first, second = subgraph.operators
    x, weights, bias = first.inputs
    assert x is not None
    assert weights is not None
    assert bias is not None
    assert (first.builtin_code, first.version) == (BuiltinOperator.FULLY_CONNECTED, 4)
    assert first.options.fusedActivationFunction == schema.ActivationFunctionType.RELU
    assert weights.array is not None
    assert weights.array.shape == (8, 12)
    assert weights.array.dtype == np.int8
    assert bias.array is not None
    assert bias.array.dtype == np.int32
    assert x.array is None
    assert (weights.is_constant, x.is_constant) == (True, False)
    assert weights.quantization is not None
    assert weights.quantization.scales.shape == (8,)
    assert not weights.quantization.zero_points.any()
    assert subgraph.consumers(first.outputs[0]) == [second]
    assert subgraph.producer(first.outputs[0]) is first
    assert subgraph.producer(x) is None
    assert "FULLY_CONNECTED" in repr(first)
    assert model.name == "chain.tflite"
