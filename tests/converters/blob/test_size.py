"""Sizes told from masks against those of packed blobs."""

from __future__ import annotations

import numpy as np
import pytest

from tests.support.blob_size import size_of_blob
from tflm_sparsesep.converters.blob.format import IndexEncoding, Layout, ValueType
from tflm_sparsesep.converters.blob.layouts import LAYOUTS
from tflm_sparsesep.converters.blob.pack import PackableWeights, pack
from tflm_sparsesep.converters.blob.size import PackedSize, block_mask, least_bytes, size_of
from tflm_sparsesep.device.synthetic_layers import random_case, random_float_case

# Remainders around every block, a single weight, steps beyond DELTA8 and windows of every pattern.
SHAPES = [(1, 1), (7, 13), (16, 64), (33, 300), (6, 1100), (3, 4500), (5, 5000), (300, 3)]


def mask_of(weights: np.ndarray, layout: Layout) -> np.ndarray:
    """bool [row of tiles, tile], by the definition of a block."""
    rows, cols = weights.shape
    by_row = np.logical_or.reduceat(weights != 0, range(0, rows, layout.block_rows), axis=0)
    return np.logical_or.reduceat(by_row, range(0, cols, layout.block_cols), axis=1)


@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
@pytest.mark.parametrize("zeros", [0.0, 0.5, 0.9, 0.998, 1.0])
def test_sizes_are_those_of_the_blob(layout: Layout, zeros: float) -> None:
    rng = np.random.default_rng(0)
    for rows, cols in SHAPES:
        block = (layout.block_rows, layout.block_cols)
        if layout.value_type is ValueType.FLOAT32:
            layer: PackableWeights = random_float_case(
                rng, rows, cols, zeros=zeros, block=block
            ).layer
        else:
            palette = 16 if layout.value_type is ValueType.PALETTE4 else None
            layer = random_case(rng, rows, cols, zeros=zeros, block=block, palette=palette).layer
            np.clip(layer.weights, -3, 3, out=layer.weights)  # what every order can hold
        blob = pack(layer, layout)
        assert np.array_equal(block_mask(layer.weights, block), mask_of(layer.weights, layout))
        found = size_of(layer.weights, layout)
        assert found == size_of_blob(blob), (rows, cols)
        assert least_bytes(layer.weights) <= found.bytes


def test_a_size_counts_what_is_in_the_blob() -> None:
    weights = np.zeros((6, 40))
    weights[0, :21] = 1
    weights[2, [3, 39]] = 1
    size = size_of(weights, Layout(IndexEncoding.DELTA8, count_multiple=1))
    # 21 blocks are one run of 16 and a rest of 5; both go in steps of 16: 2 and 1.
    # 64 of header, 54 of rows, 12 of counts, 23 of indices, 23 of values,
    # each section aligned to 4.
    assert size == PackedSize(
        bytes=64 + 54 + 12 + 2 + 23 + 1 + 23 + 1,
        rows=6,
        cols=40,
        groups=6,
        stored_groups=2,
        odd_groups=1,
        blocks=23,
        rest_blocks=7,
        runs=3,
    )


def test_a_size_counts_escapes() -> None:
    weights = np.zeros((3, 72))
    weights[0, [0, 40]] = 1  # a gap of 39: two escapes, then 9
    weights[2, [31, 32, 70]] = 1  # a gap of 37, two escapes again
    # The gap of 31 before the first nonzero of the last row has two escapes, too.
    gap4 = size_of(weights, Layout(IndexEncoding.GAP4, count_multiple=1))
    assert gap4.escapes == 2 + 2 + 2
    assert gap4.escaped_words == 2
    weights = np.zeros((2, 300))
    weights[0, [*range(8), 40, 70]] = 1  # escapes at 8, 9 and 11
    weights[1, [*range(6), 60, 61, 250]] = 1  # at 6 to 8, and at 11 to 22
    gap4 = size_of(weights, Layout(IndexEncoding.GAP4, count_multiple=1))
    assert gap4.escapes == 2 + 1 + 3 + 12
    assert gap4.escaped_words == 1 + 3
