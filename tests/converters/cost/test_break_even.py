"""Break-even points: packed weights and the cost model on either side of them."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest

from tests.support.blob_size import size_of_blob
from tflm_sparsesep.converters.blob.format import Major
from tflm_sparsesep.converters.blob.layouts import layouts_for
from tflm_sparsesep.converters.blob.pack import can_pack
from tflm_sparsesep.converters.blob.pack import pack as pack_weights
from tflm_sparsesep.converters.blob.pack_separable import order_for, pack
from tflm_sparsesep.converters.blob.separable_format import Padding
from tflm_sparsesep.converters.cost import fully_connected, pointwise_conv, separable_conv
from tflm_sparsesep.converters.cost.break_even import (
    MOST_ZEROS,
    ZERO_STEPS,
    PlannedForm,
    best_sparse,
    break_even_block,
    break_even_channels,
    break_even_rank,
    break_even_zeros,
    kept_blocks,
    patterns,
    sparse_form,
)
from tflm_sparsesep.converters.cost.shapes import ConvShape, MatrixShape
from tflm_sparsesep.device.synthetic_layers import random_case
from tflm_sparsesep.device.synthetic_separable import SeparableShape, random_separable

TARGETS = ["cortex-m0", "cortex-m3", "cortex-m4", "cortex-m55", "host"]
LAYERS = [
    MatrixShape(128, 640, parameter_bytes=512),
    MatrixShape(31, 53, parameter_bytes=124),
    MatrixShape(12, 64),
    MatrixShape(64, 64, vectors=125, taps=1, parameter_bytes=256),
]
FIRST_OF_LENET = MatrixShape(300, 784, parameter_bytes=1200)
CONVS = [
    ConvShape((50, 5, 5, 20), (1, 12, 12, 20), (1, 8, 8, 50), (1, 1), Padding.VALID, 200),
    ConvShape((64, 3, 3, 64), (1, 8, 8, 64), (1, 8, 8, 64), (1, 1), Padding.SAME, 256),
    ConvShape((64, 10, 4, 1), (1, 49, 10, 1), (1, 25, 5, 64), (2, 2), Padding.SAME, 256),
]


def packed_forms(layer: MatrixShape, target: str, pattern: str, zeros: float) -> list[PlannedForm]:
    """Return random weights with a fraction of zeros, packed in each layout of the pattern."""
    rng = np.random.default_rng(1)
    height, width = map(int, pattern.split("x"))
    kept = kept_blocks(layer.rows, layer.cols, (height, width), zeros)
    mask = kept.repeat(height, 0).repeat(width, 1)[: layer.rows, : layer.cols]
    weights = rng.integers(1, 64, mask.shape) * rng.choice([-1, 1], mask.shape) * mask
    case = random_case(rng, layer.rows, layer.cols, zeros=0.0).layer
    weighed = dataclasses.replace(case, weights=weights.astype(np.int8))
    forms = []
    for layout in layouts_for(target):
        is_usable = layout.major is Major.ROW and fully_connected.is_measured(target, layout)
        if layout.pattern == pattern and is_usable and can_pack(weighed, layout):
            blob = pack_weights(weighed, layout)
            cost = fully_connected.sparse_instructions(
                target, layout, size_of_blob(blob), layer.vectors
            )
            forms.append(PlannedForm(len(blob), cost, pattern=pattern, zeros=zeros))
    return forms


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("layer", LAYERS, ids=str)
def test_packed_weights_pay_from_there_and_not_before(layer: MatrixShape, target: str) -> None:
    dense = layer.dense(target)
    for pattern in patterns(target):
        form = break_even_zeros(layer, target, pattern)
        if form is None:
            before = packed_forms(layer, target, pattern, MOST_ZEROS)
        else:
            assert form.zeros is not None
            forms = packed_forms(layer, target, pattern, form.zeros)
            assert form in forms, pattern
            assert form.beats(dense), pattern
            before = packed_forms(layer, target, pattern, form.zeros - 1 / ZERO_STEPS)
        assert not any(one.beats(dense) for one in before), pattern


def test_bytes_alone_set_the_break_even_of_4x4_blocks() -> None:
    """By hand, for 784->300 on a Cortex-M4.

    72 bytes of header, 9 for each row, 2 for each of 75 rows of blocks, and 17 for each block must
    be fewer than 300 * 784 + 4 * 300: at most 13,733 of the 14,700 blocks. That are 6.58% zeros,
    rounded up to a multiple of half a percent.
    """
    form = break_even_zeros(FIRST_OF_LENET, "cortex-m4", "4x4")
    assert form is not None
    assert (72 + 9 * 300 + 2 * 75 + 17 * 13_733, 300 * 784 + 4 * 300) == (236_383, 236_400)
    assert form.zeros == 0.07
    assert form == break_even_block(FIRST_OF_LENET, "cortex-m4")


@pytest.mark.parametrize("target", TARGETS)
def test_the_block_that_pays_first_is_taken(target: str) -> None:
    found = break_even_block(LAYERS[0], target)
    blocks = [break_even_zeros(LAYERS[0], target, p) for p in patterns(target) if p != "1x1"]
    assert found is not None
    assert found in blocks
    zeros = [form.zeros for form in blocks if form is not None and form.zeros is not None]
    assert found.zeros == min(zeros)


def test_the_best_case_is_the_best_of_all_patterns_and_wins() -> None:
    layer = LAYERS[0]
    best = best_sparse(layer, "cortex-m4", 0.95)
    forms = [sparse_form(layer, "cortex-m4", pattern, 0.95) for pattern in patterns("cortex-m4")]
    assert best is not None
    assert best in forms
    assert None not in forms
    products = [form.bytes * form.instructions for form in forms if form is not None]
    assert best.bytes * best.instructions == min(products)
    assert best.beats(layer.dense("cortex-m4"))
    # Two outputs of four inputs are smaller than a header.
    assert best_sparse(MatrixShape(2, 4), "cortex-m4", 0.95) is None


def two_dense(layer: MatrixShape, target: str, rank: int) -> PlannedForm:
    """Weights and parameters of both, by hand."""
    cost = pointwise_conv.dense_instructions if layer.taps else fully_connected.dense_instructions
    return PlannedForm(
        rank * (layer.rows + layer.cols + layer.parameter_bytes // layer.rows)
        + layer.parameter_bytes,
        cost(target, rank, layer.cols, layer.vectors)
        + cost(target, layer.rows, rank, layer.vectors),
        rank=rank,
    )


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("layer", [*LAYERS, FIRST_OF_LENET], ids=str)
def test_the_largest_rank_that_pays(layer: MatrixShape, target: str) -> None:
    form = break_even_rank(layer, target)
    largest = 0
    if form is None:
        # PCs and Helium take longer to begin a second layer than to finish so small a first one.
        assert target in ("host", "cortex-m55")
        assert layer.rows * layer.cols * layer.vectors < 2000
    else:
        assert form.rank is not None
        assert form == two_dense(layer, target, form.rank)
        assert form.beats(layer.dense(target))
        largest = form.rank
    ranks = range(largest + 1, min(layer.rows, layer.cols) + 1)
    assert not any(two_dense(layer, target, k).beats(layer.dense(target)) for k in ranks)


def separated(layer: ConvShape, target: str, channels: int) -> PlannedForm:
    """A convolution of random weights, packed."""
    units, height, width, inputs = layer.weights
    shape = SeparableShape(
        height=layer.inputs[1],
        width=layer.inputs[2],
        channels=(inputs, channels, units),
        kernel=(height, width),
        stride=layer.strides,
        padding=(layer.padding, layer.padding),
    )
    conv = random_separable(np.random.default_rng(0), shape)
    assert conv.output_shape(layer.inputs) == layer.outputs
    order = order_for(conv, target)
    cost = separable_conv.fused_instructions(target, conv, order, layer.inputs)
    return PlannedForm(len(pack(conv, order)), cost, channels=channels)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("layer", CONVS, ids=str)
def test_the_most_channels_that_pay(layer: ConvShape, target: str) -> None:
    form = break_even_channels(layer, target)
    assert form is not None
    assert form.channels is not None
    assert form == separated(layer, target, form.channels)
    assert form.beats(layer.dense(target))
    assert not separated(layer, target, form.channels + 1).beats(layer.dense(target))


def test_a_convolution_of_one_channel_and_unit_cannot_be_separated() -> None:
    layer = ConvShape((1, 2, 2, 1), (1, 8, 8, 1), (1, 7, 7, 1), (1, 1), Padding.VALID)
    assert layer.most_channels == 1
    assert break_even_channels(layer, "cortex-m4") is None


def test_blocks_kept_are_nested_and_as_many_as_asked() -> None:
    few, many = (kept_blocks(33, 18, (4, 4), zeros) for zeros in (0.9, 0.3))
    assert few.shape == (9, 5)
    assert np.all(many[few])
    assert (few.sum(), many.sum()) == (round(45 * 0.1), round(45 * 0.7))
    assert math.isclose(kept_blocks(4, 4, (1, 1), 0.0).mean(), 1.0)
