"""Paged models: tables in the place of weights, and one image of the external memory."""

from __future__ import annotations

import numpy as np
import pytest

from tests.support.layers import layout_case
from tests.support.models.sparse_models import sparse_conv_model, sparse_model
from tests.support.pages import page_conv
from tests.support.sparse_convs import random_conv
from tflm_sparsesep.converters.blob.layouts import LAYOUTS, layouts_for
from tflm_sparsesep.converters.blob.pack_sparse_conv import ConvWindow
from tflm_sparsesep.converters.blob.paged_format import Table, is_table
from tflm_sparsesep.converters.blob.sparse_conv_format import HEADER
from tflm_sparsesep.converters.errors import ConfigError, ModelError
from tflm_sparsesep.converters.inspect_model import inspect_model
from tflm_sparsesep.converters.layers.packed import blob_of, packed_conv
from tflm_sparsesep.converters.layers.paged import paged_scratch_bytes
from tflm_sparsesep.converters.page_model import page_model
from tflm_sparsesep.converters.selected_variants import variants_of
from tflm_sparsesep.converters.tflite import editor
from tflm_sparsesep.converters.viewers import annotate


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


def test_several_layers_share_the_memory_one_after_the_other() -> None:
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


def test_convolutions_are_paged_behind_their_header() -> None:
    layout = layouts_for("cortex-m4")[0]
    window = ConvWindow((3, 3), 16)
    rng = np.random.default_rng(2)
    conv = random_conv(rng, layout, window=window, units=40, size=(9, 12), zeros=0.8)
    model = sparse_conv_model(conv, layout)
    paged = page_model(model, page_bytes=1024)
    (op,) = editor.read(paged.tflite).operators
    blob = blob_of(op)
    table = Table.from_bytes(blob[HEADER.itemsize :])
    assert (blob[: HEADER.itemsize], b"", len(paged.external)) == (
        conv.blob(layout)[: HEADER.itemsize],
        op.custom_options or b"",
        table.external_bytes,
    )
    assert len(table.pages) > 1
    assert variants_of(paged.tflite, target="cortex-m4") == variants_of(model, target="cortex-m4")
    (layer,) = inspect_model(paged.tflite, target="cortex-m4")
    (whole,) = inspect_model(model, target="cortex-m4")
    assert "pages of at most " in layer.reason
    for name in ("op", "rows", "cols", "batch", "pattern", "index", "dense_bytes", "variant"):
        assert getattr(layer, name) == getattr(whole, name), name
    assert layer.scratch_bytes == paged_scratch_bytes(op, target="cortex-m4")
    assert b"pattern" in bytes(
        next(editor.read(annotate(paged.tflite)).operators).custom_options or b""
    )
    with pytest.raises(ModelError, match="not packed weights of version 1"):
        page_model(paged.tflite, page_bytes=512)
    with pytest.raises(ModelError, match="its weights are pages in external memory"):
        packed_conv(op)


@pytest.mark.parametrize(
    ("at", "value", "message"),
    [
        (0, 0, "not a sparse convolution of version 1"),
        (6, 0, "accepted: 1..255"),
        (5, 9, "9 is not a valid Padding"),
        (HEADER.itemsize + 4, 9, "not paged weights of version 1"),
    ],
)
def test_damaged_paged_convolutions_are_named(at: int, value: int, message: str) -> None:
    conv = random_conv(np.random.default_rng(2), LAYOUTS[0], units=40, zeros=0.8)
    blob = bytearray(page_conv(conv, LAYOUTS[0])[0])
    blob[at] = value
    model = sparse_conv_model(conv, LAYOUTS[0], blob=bytes(blob))
    with pytest.raises(ModelError, match=f"layer 'output': .*{message}"):
        inspect_model(model, target="cortex-m4")
