"""Packed operators read back: the numbers that were packed, and the shapes that they replace."""

from __future__ import annotations

import numpy as np
import pytest

from tests.support.layers import layout_case
from tests.support.models.sparse_models import sparse_model
from tflm_sparsesep.converters.blob.layouts import LAYOUTS
from tflm_sparsesep.converters.errors import ModelError
from tflm_sparsesep.converters.layers.packed import (
    batch_of,
    blob_of,
    matrix_shape,
    options_of,
    packed_separable,
    packed_weights,
)
from tflm_sparsesep.converters.layers.paged import paged_weights
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
