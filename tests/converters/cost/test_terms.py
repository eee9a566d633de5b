"""Terms of sparse kernels: what each counts."""

from __future__ import annotations

import pytest

from tflm_sparsesep.converters.blob.format import IndexEncoding, Layout, Major
from tflm_sparsesep.converters.blob.size import PackedSize, size_of
from tflm_sparsesep.converters.cost.terms import sparse_terms
from tflm_sparsesep.device.kernel_bench import random_layer

DELTA8 = Layout(IndexEncoding.DELTA8)


BLOCKS = Layout(IndexEncoding.DELTA8, 4, 4, count_multiple=1)


COLUMNS = Layout(IndexEncoding.OFFSET16, 4, 1, count_multiple=1, major=Major.COLUMN)


def random_size(layout: Layout, rows: int, cols: int, zeros: float) -> PackedSize:
    case = random_layer(layout, rows, cols, zeros=zeros, batch=1, input_zeros=0.0)
    return size_of(case.layer.weights, layout)


def test_windows_cost_only_where_there_are_several() -> None:
    layout = Layout(IndexEncoding.WINDOW8, count_multiple=1)
    for cols, is_windowed in [(256, False), (257, True)]:
        size = random_size(layout, 8, cols, 0.5)
        terms = sparse_terms(layout, size)
        assert terms["per_run"] == size.runs
        assert terms["per_window_run"] == (size.runs if is_windowed else 0)


def test_zero_inputs_save_the_blocks_that_are_passed_over() -> None:
    size = random_size(COLUMNS, 16, 20, 0.5)
    assert sparse_terms(COLUMNS, size, input_zeros=0.75)["per_block"] == 0.25 * size.blocks
    # Row-major kernels do not look.
    size = random_size(BLOCKS, 16, 20, 0.5)
    assert sparse_terms(BLOCKS, size, input_zeros=0.5) == sparse_terms(BLOCKS, size)


def test_vectors_of_a_pass_share_it_and_the_rest_goes_alone() -> None:
    size = random_size(DELTA8, 30, 50, 0.8)
    one = sparse_terms(DELTA8, size)
    many = sparse_terms(DELTA8, size, batch=11, vectors_per_pass=4)
    assert many["per_block_and_pass"] == 2 * size.blocks
    assert many["per_row_and_pass"] == 2 * size.rows
    assert many["per_block"] == 3 * one["per_block"]
    assert many["per_vector"] == 3
    assert many["per_call"] == 1
    assert one["per_block_and_pass"] == 0


def test_wide_gaps_cost_in_passes_and_alone() -> None:
    gap4 = Layout(IndexEncoding.GAP4, count_multiple=1)
    size = random_size(gap4, 30, 200, 0.9)
    assert 0 < size.escaped_words < size.escapes
    terms = sparse_terms(gap4, size, batch=9, vectors_per_pass=4)
    assert terms["per_escape"] == size.escapes
    assert terms["per_escape_and_pass"] == 2 * size.escapes
    assert terms["per_escaped_word_and_pass"] == 2 * size.escaped_words


@pytest.mark.parametrize(
    ("cols", "batch", "unaligned"),
    # Vectors begin at 0, 0; 0, 64; 0, 62, 124; 0, 61, 122, 183, 244 bytes.
    [(64, 2, 0), (61, 1, 0), (62, 3, 1), (61, 5, 3)],
)
def test_copies_of_vectors_between_words_are_told_apart(
    cols: int, batch: int, unaligned: int
) -> None:
    terms = sparse_terms(BLOCKS, random_size(BLOCKS, 8, cols, 0.5), batch=batch)
    assert terms["per_unaligned_copied_col"] == unaligned * cols
    assert terms["per_copied_col"] == (batch * cols if cols % 4 else 0)
