"""Operators read as matrices: shapes, options, and reasons of those that are none."""

from __future__ import annotations

import numpy as np
import pytest

from tests.support.models.dense_models import single_layer_model, sparse_weights
from tests.support.models.operator_models import GraphBuilder
from tflm_sparsesep.converters.cost.shapes import MatrixShape
from tflm_sparsesep.converters.layers.matrix import is_matrix_operator, read_matrix_layer
from tflm_sparsesep.converters.layers.quantized import Unsupported
from tflm_sparsesep.converters.tflite import editor
from tflm_sparsesep.converters.tflite.editor import Operator


def convolution(image: tuple[int, ...], units: int, kernel: tuple[int, int]) -> Operator:
    graph = GraphBuilder(0, quantized=True)
    graph.conv(graph.input(*image), units, kernel, padding="VALID")
    (op,) = graph.operators
    return op


def test_a_fully_connected_layer() -> None:
    weights = sparse_weights(6, 10, 0.5)
    (op,) = editor.read(single_layer_model(weights)).operators
    layer = read_matrix_layer(op)
    np.testing.assert_array_equal(layer.weights.weights, weights)
    assert layer.shape == MatrixShape(6, 10, parameter_bytes=24 + 24)
    assert (layer.options.input_zero_point, layer.options.output_zero_point) == (-5, 3)
    assert layer.options.activation_min == 3  # RELU: the zero_point of the output


def test_pixels_and_windows_are_vectors() -> None:
    pixels = read_matrix_layer(convolution((1, 4, 5, 8), 6, (1, 1)))
    assert (pixels.shape.rows, pixels.shape.cols, pixels.shape.vectors) == (6, 8, 20)
    assert (pixels.shape.taps, pixels.options.input_step) == (1, 0)
    windows = read_matrix_layer(convolution((1, 1, 20, 8), 6, (1, 3)))
    assert (windows.shape.rows, windows.shape.cols, windows.shape.vectors) == (6, 24, 18)
    assert (windows.shape.taps, windows.options.input_step) == (3, 8)


def test_a_convolution_along_two_axes_is_no_matrix() -> None:
    with pytest.raises(Unsupported, match="no sparse kernel for a 3x3 convolution"):
        read_matrix_layer(convolution((1, 8, 8, 4), 6, (3, 3)))


def test_other_operators_have_no_reader() -> None:
    op = Operator.custom("OTHER", [], [])
    assert not is_matrix_operator(op)
    with pytest.raises(Unsupported, match="no sparse kernel for OTHER"):
        read_matrix_layer(op)
