"""Shapes: which dense kernel each stands for."""

from __future__ import annotations

from tflm_sparsesep.converters.blob.separable_format import Padding
from tflm_sparsesep.converters.cost import conv_2d, fully_connected, pointwise_conv
from tflm_sparsesep.converters.cost.cost import Cost
from tflm_sparsesep.converters.cost.shapes import ConvShape, MatrixShape


def test_a_matrix_is_a_fully_connected_layer_or_a_convolution() -> None:
    target = "cortex-m4"
    dense = MatrixShape(16, 24, vectors=2).dense_instructions(target)
    assert dense == fully_connected.dense_instructions(target, 16, 24, 2)
    pixels = MatrixShape(16, 24, vectors=50, taps=1).dense_instructions(target)
    assert pixels == pointwise_conv.dense_instructions(target, 16, 24, 50)
    windows = MatrixShape(16, 24, vectors=50, taps=3).dense_instructions(target)
    assert windows == conv_2d.dense_instructions(target, (16, 1, 3, 8), (1, 1, 50, 16))


def test_bytes_are_weights_and_bias() -> None:
    assert MatrixShape(16, 24, parameter_bytes=64).dense("cortex-m4").bytes == 16 * 24 + 64
    conv = ConvShape((4, 3, 5, 2), (1, 9, 9, 2), (1, 7, 5, 4), (1, 1), Padding.VALID, 16)
    instructions = conv_2d.dense_instructions("cortex-m4", (4, 3, 5, 2), (1, 7, 5, 4))
    assert conv.dense("cortex-m4") == Cost(4 * 3 * 5 * 2 + 16, instructions)


def test_the_most_channels_have_no_more_weights() -> None:
    conv = ConvShape((50, 5, 5, 20), (1, 12, 12, 20), (1, 8, 8, 50), (1, 1), Padding.VALID)
    most, each = conv.most_channels, 5 * 20 + 5 * 50
    assert most * each <= 50 * 5 * 5 * 20 < (most + 1) * each


def test_names_for_tables() -> None:
    assert str(MatrixShape(16, 24)) == "24->16"
    assert str(MatrixShape(16, 24, vectors=50, taps=3)) == "1x3 8->16 x50"
