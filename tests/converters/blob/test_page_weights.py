"""Pages are complete blobs of consecutive rows; models with pages hold tables of contents."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.support.layers import layout_case
from tests.support.pages import smallest_page
from tflm_sparsesep.converters import native
from tflm_sparsesep.converters.blob.format import Layout
from tflm_sparsesep.converters.blob.layouts import LAYOUTS
from tflm_sparsesep.converters.blob.pack import pack, unpack
from tflm_sparsesep.converters.blob.page_weights import page_weights
from tflm_sparsesep.converters.blob.paged_format import PAGE_ALIGNMENT, Table, checksum
from tflm_sparsesep.converters.errors import ConfigError

FLOAT_4X1 = next(x for x in LAYOUTS if str(x) == "4x1_delta8_float32")


@example(rows=1, cols=232, zeros=0.0, page_bytes=4000, seed=0, layout=FLOAT_4X1)
@given(
    rows=st.integers(1, 70),
    cols=st.integers(1, 300),
    zeros=st.sampled_from([0.0, 0.5, 0.9, 1.0]),
    page_bytes=st.integers(1000, 20000),
    seed=st.integers(0, 1000),
    layout=st.sampled_from(LAYOUTS),
)
def test_pages_joined_are_the_layer(
    rows: int, cols: int, zeros: float, page_bytes: int, seed: int, layout: Layout
) -> None:
    case = layout_case(np.random.default_rng(seed), layout, rows, cols, zeros=zeros)
    page_bytes = max(page_bytes, smallest_page(case.layer, layout))
    blob = pack(case.layer, layout)
    whole = unpack(blob)
    data, pages = page_weights(
        blob, page_bytes=page_bytes, input_zero_point=case.options.input_zero_point
    )
    table = Table.from_bytes(data)
    assert (table.layout, table.rows, table.cols) == (layout, rows, cols)
    assert table.external_bytes == len(pages)
    first = offset = 0
    for page in table.pages:
        part = pages[offset : offset + page.bytes]
        assert page.bytes <= page_bytes
        assert page.bytes % PAGE_ALIGNMENT == 0
        assert checksum(part) == page.checksum
        assert native.validate(part) is None
        unpacked = unpack(part)
        here = slice(first, first + page.rows)
        assert unpacked.layout == layout
        np.testing.assert_array_equal(unpacked.weights, whole.weights[here])
        np.testing.assert_array_equal(unpacked.bias, whole.bias[here])
        if len(whole.shift):
            np.testing.assert_array_equal(unpacked.multiplier, whole.multiplier[here])
            np.testing.assert_array_equal(unpacked.shift, whole.shift[here])
        first, offset = first + page.rows, offset + page.bytes
    assert first == rows


def test_pages_are_as_full_as_whole_rows_of_blocks_allow() -> None:
    layout = next(x for x in LAYOUTS if x.pattern == "4x4")
    case = layout_case(np.random.default_rng(0), layout, 128, 256, zeros=0.8)
    data, pages = page_weights(pack(case.layer, layout), page_bytes=2048, input_zero_point=0)
    table = Table.from_bytes(data)
    # A row of 4x4 blocks takes 64 blocks * 0.2 * 17 bytes on average, hardly ever over 450.
    assert all(page.bytes > 2048 - 450 for page in table.pages[:-1])
    assert all(page.rows % 4 == 0 for page in table.pages)
    # Headers and filling are all that paging adds.
    assert len(pages) <= len(pack(case.layer, layout)) + 80 * len(table.pages)


def test_a_row_that_does_not_fit_is_refused() -> None:
    wide = layout_case(np.random.default_rng(0), FLOAT_4X1, 1, 232, zeros=0.0)
    with pytest.raises(ConfigError, match=r"page_bytes is 4,000, .* needs at least 4,016"):
        page_weights(pack(wide.layer, FLOAT_4X1), page_bytes=4000, input_zero_point=0)
    case = layout_case(np.random.default_rng(0), LAYOUTS[0], 40, 1000, zeros=0.5)
    with pytest.raises(ConfigError, match=r"page_bytes is 500, layer 'fc' needs at least 1,\d\d\d"):
        page_weights(pack(case.layer, LAYOUTS[0]), page_bytes=500, input_zero_point=0, name="fc")
