"""Pages are complete blobs of consecutive rows; models with pages hold tables of contents."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.layers import layout_case
from tests.support.sparse_models import sparse_model
from tflm_sparsesep.converters import native
from tflm_sparsesep.converters.blob.format import Layout
from tflm_sparsesep.converters.blob.layouts import LAYOUTS
from tflm_sparsesep.converters.blob.pack import pack, unpack
from tflm_sparsesep.converters.blob.page_weights import page_weights
from tflm_sparsesep.converters.blob.paged_format import PAGE_ALIGNMENT, Table, checksum, is_table
from tflm_sparsesep.converters.errors import ConfigError, ModelError
from tflm_sparsesep.converters.inspect_model import inspect_model
from tflm_sparsesep.converters.layers.packed import blob_of
from tflm_sparsesep.converters.page_model import page_model
from tflm_sparsesep.converters.selected_variants import variants_of
from tflm_sparsesep.converters.tflite import editor


@settings(max_examples=80, deadline=None)
@given(
    rows=st.integers(1, 70),
    cols=st.integers(1, 300),
    zeros=st.sampled_from([0.0, 0.5, 0.9, 1.0]),
    page_bytes=st.integers(4000, 20000),
    seed=st.integers(0, 1000),
    layout=st.sampled_from(LAYOUTS),
)
def test_pages_joined_are_the_layer(
    rows: int, cols: int, zeros: float, page_bytes: int, seed: int, layout: Layout
) -> None:
    case = layout_case(np.random.default_rng(seed), layout, rows, cols, zeros=zeros)
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
    case = layout_case(np.random.default_rng(0), LAYOUTS[0], 40, 1000, zeros=0.5)
    with pytest.raises(ConfigError, match=r"page_bytes is 500, layer 'fc' needs at least 1,\d\d\d"):
        page_weights(pack(case.layer, LAYOUTS[0]), page_bytes=500, input_zero_point=0, name="fc")


def test_models_hold_tables_in_the_place_of_large_blobs() -> None:
    case = layout_case(np.random.default_rng(1), LAYOUTS[0], 60, 200, zeros=0.8)
    model = sparse_model(case)
    blob = blob_of(next(editor.read(model).operators))
    paged = page_model(model, page_bytes=2048)
    (op,) = editor.read(paged.tflite).operators
    table = Table.from_bytes(blob_of(op))
    assert op.custom_options == case.options.to_bytes()
    assert len(paged.external) == table.external_bytes
    assert len(paged.tflite) < len(model) - len(blob) + len(blob_of(op)) + 64

    untouched = page_model(model, page_bytes=len(blob))
    assert untouched.external == b""
    assert blob_of(next(editor.read(untouched.tflite).operators)) == blob


def test_several_layers_share_the_memory_one_behind_the_other() -> None:
    case = layout_case(np.random.default_rng(1), LAYOUTS[0], 60, 200, zeros=0.8)
    model = editor.read(sparse_model(case))
    other = editor.read(sparse_model(case))
    model.subgraphs.append(other.subgraphs[0])
    paged = page_model(editor.write(model), page_bytes=1024)
    first, second = (Table.from_bytes(blob_of(op)) for op in editor.read(paged.tflite).operators)
    assert first.offset == 0
    assert second.offset == first.external_bytes
    assert first.pages == second.pages
    assert paged.external[: first.external_bytes] == paged.external[first.external_bytes :]


def test_tools_know_paged_models() -> None:
    case = layout_case(np.random.default_rng(1), LAYOUTS[0], 60, 200, zeros=0.8)
    model = sparse_model(case)
    paged = page_model(model, page_bytes=1024).tflite
    assert is_table(blob_of(next(editor.read(paged).operators)))
    assert variants_of(paged, target="cortex-m4") == variants_of(model, target="cortex-m4")
    (layer,) = inspect_model(paged, target="cortex-m4")
    assert "pages of at most 1,0" in layer.reason
    assert (layer.rows, layer.cols, layer.pattern) == (60, 200, "1x1")
    with pytest.raises(ModelError, match="not packed weights of version 1"):
        page_model(paged, page_bytes=512)
    with pytest.raises(ConfigError, match="page_bytes is 64, accepted: more than 64"):
        page_model(model, page_bytes=64)
