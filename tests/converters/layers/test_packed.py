"""Packed operators read back: the numbers that were packed, and the shapes that they replace."""

from __future__ import annotations

import numpy as np
import pytest

import tflm_sparsesep as ts
from tests.support.layers import layout_case
from tests.support.models.shared_models import needs_shared_models, shared_model
from tests.support.models.sparse_models import sparse_model
from tflm_sparsesep.converters import model_cost
from tflm_sparsesep.converters.blob.layouts import LAYOUTS
from tflm_sparsesep.converters.errors import ModelError
from tflm_sparsesep.converters.layers.packed import (
    batch_of,
    blob_of,
    matrix_shape,
    options_of,
    packed_separable,
    packed_weights,
    summarize,
)
from tflm_sparsesep.converters.layers.paged import paged_weights
from tflm_sparsesep.converters.layers.quantized import layer_name
from tflm_sparsesep.converters.tflite import editor
from tflm_sparsesep.converters.tflite.editor import Operator, Tensor, TensorType

CASE = layout_case(np.random.default_rng(0), LAYOUTS[0], 12, 30, zeros=0.8)


def operator(input_shape: tuple[int, ...] | None = None) -> Operator:
    (op,) = editor.read(sparse_model(CASE, input_shape=input_shape)).operators
    return op


def test_weights_and_options_are_those_that_were_packed() -> None:
    op = operator()
    np.testing.assert_array_equal(packed_weights(op).weights, CASE.layer.weights)
    assert options_of(op) == CASE.options
    assert batch_of(op, 30) == len(CASE.inputs)


def test_vectors_of_an_image_replace_a_pointwise_convolution() -> None:
    batch = len(CASE.inputs)
    assert matrix_shape(operator(), 12, 30).taps == 0
    assert matrix_shape(operator((1, 1, batch, 30)), 12, 30).taps == 1


def test_damaged_operators_are_refused() -> None:
    op = operator()
    op.custom_options = b"\x01"
    with pytest.raises(ModelError, match="custom options have 1 bytes"):
        options_of(op)
    blob = bytearray(blob_of(op))
    blob[0] ^= 1
    op.inputs[1] = Tensor.constant("packed", np.frombuffer(bytes(blob), np.uint8))
    with pytest.raises(ModelError, match=r"^layer 'output': "):
        packed_weights(op)
    with pytest.raises(ModelError, match="not a table of contents"):
        paged_weights(op)
    with pytest.raises(ModelError, match=r"^layer 'output': "):
        packed_separable(op)
    op.inputs[1] = Tensor("activation", [4], TensorType.UINT8)
    with pytest.raises(ModelError, match="has no constant packed weights"):
        blob_of(op)


@needs_shared_models
@pytest.mark.parametrize("target", ["cortex-m0", "cortex-m4", "cortex-m55"])
def test_packed_layers_replace_what_the_file_had(target: str) -> None:
    """The first convolution has one channel and becomes a depthwise layer: it was a CONV_2D."""
    source = shared_model("kws_ref_model.tflite")
    packed = editor.read(ts.convert(source, target=target).tflite).operators
    summaries = [(op, summarize(op, target)) for op in packed]
    found = {layer_name(op): one.dense_instructions for op, one in summaries if one is not None}
    dense = {
        layer_name(op).split(";")[0]: model_cost.dense_instructions(op, target)
        for op in editor.read(source).operators
    }
    # Blocks have the name of their last layer.
    alone = {name: count for name, count in found.items() if name in dense}
    assert len(alone) >= 5
    first = next(iter(dense))
    assert alone[first] == dense[first]
    assert all(count >= dense[name] for name, count in alone.items())
