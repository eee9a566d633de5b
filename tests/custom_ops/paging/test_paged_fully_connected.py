"""Layers whose weights are pages in an external memory, through the op core on this machine."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support import native_ops
from tests.support.layers import layout_case
from tests.support.pages import Flash, WornFlash, smallest_page
from tflm_sparsesep.converters import native
from tflm_sparsesep.converters.blob.format import Layout
from tflm_sparsesep.converters.blob.layouts import LAYOUTS
from tflm_sparsesep.converters.blob.pack import pack
from tflm_sparsesep.converters.blob.page_weights import page_weights
from tflm_sparsesep.converters.blob.paged_format import PAGED_HEADER, Table
from tflm_sparsesep.converters.errors import DeviceError
from tflm_sparsesep.device.synthetic_layers import LayerCase

LAYOUT = LAYOUTS[0]
_CHUNK = 128  # bytes that Prepare reads at a time


@dataclass(frozen=True)
class Paged:
    """A layer, its blob, and the same as pages in a memory."""

    case: LayerCase[Any]
    blob: bytes
    table: bytes
    image: bytes

    def run(
        self,
        fetch: Callable[[int, int], bytes | None],
        *,
        table: bytes | None = None,
        overlaps: bool = False,
        is_trusted: bool = False,
        evals: int = 1,
    ) -> native_ops.Run:
        return native_ops.paged_fully_connected(
            self.case.options.to_bytes(),
            self.table if table is None else table,
            fetch,
            self.case.inputs,
            len(self.case.layer.bias),
            overlaps=overlaps,
            is_trusted=is_trusted,
            evals=evals,
        )

    def unpaged(self) -> npt.NDArray[np.generic]:
        options, rows = self.case.options.to_bytes(), len(self.case.layer.bias)
        return native_ops.sparse_fully_connected(options, self.blob, self.case.inputs, rows)


def paged(
    layout: Layout = LAYOUT,
    rows: int = 45,
    cols: int = 90,
    *,
    page_bytes: int | None = None,
    zeros: float = 0.7,
    batch: int = 1,
    seed: int = 0,
) -> Paged:
    """A random layer; by default in pages of two fifths of its blob: three or four."""
    case = layout_case(np.random.default_rng(seed), layout, rows, cols, zeros=zeros, batch=batch)
    blob = pack(case.layer, layout)
    table, image = page_weights(
        blob,
        page_bytes=max(page_bytes or 2 * len(blob) // 5, smallest_page(case.layer, layout)),
        input_zero_point=case.options.input_zero_point,
    )
    return Paged(case, blob, table, image)


@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
@pytest.mark.parametrize("overlaps", [False, True])
@pytest.mark.parametrize("is_trusted", [False, True])
def test_outputs_equal_the_unpaged_layers(layout: Layout, overlaps: bool, is_trusted: bool) -> None:
    for seed, (rows, cols, batch) in enumerate([(45, 90, 1), (130, 33, 5), (66, 301, 2)]):
        layer = paged(layout, rows, cols, batch=batch, seed=seed)
        assert len(Table.from_bytes(layer.table).pages) > 1
        run = layer.run(Flash(layer.image), overlaps=overlaps, is_trusted=is_trusted, evals=3)
        np.testing.assert_array_equal(run.outputs, layer.unpaged())


@given(
    layout=st.sampled_from(LAYOUTS),
    rows=st.integers(1, 80),
    cols=st.integers(1, 200),
    zeros=st.sampled_from([0.0, 0.5, 0.9, 1.0]),
    batch=st.integers(1, 6),
    page_bytes=st.integers(1000, 6000),
    overlaps=st.booleans(),
    seed=st.integers(0, 1000),
)
def test_outputs_equal_for_any_shape(
    layout: Layout,
    rows: int,
    cols: int,
    zeros: float,
    batch: int,
    page_bytes: int,
    overlaps: bool,
    seed: int,
) -> None:
    layer = paged(layout, rows, cols, page_bytes=page_bytes, zeros=zeros, batch=batch, seed=seed)
    run = layer.run(Flash(layer.image), overlaps=overlaps)
    np.testing.assert_array_equal(run.outputs, layer.unpaged())


def test_layers_in_the_model_run_as_ever() -> None:
    layer, flash = paged(), Flash(b"")
    run = layer.run(flash, table=layer.blob)
    np.testing.assert_array_equal(run.outputs, layer.unpaged())
    assert flash.calls == []


def test_prepare_reads_the_memory_once_and_eval_each_page_once() -> None:
    layer = paged(batch=3)
    table, flash = Table.from_bytes(layer.table), Flash(layer.image)
    layer.run(flash, evals=2)
    chunks = sum(-(-page.bytes // _CHUNK) for page in table.pages)
    prepare, evals = flash.calls[:chunks], flash.calls[chunks:]
    assert sum(size for _, size in prepare) == table.external_bytes
    assert max(size for _, size in prepare) == _CHUNK
    ends = np.cumsum([page.bytes for page in table.pages])
    starts = [int(end) - page.bytes for end, page in zip(ends, table.pages, strict=True)]
    assert evals == 2 * [(s, page.bytes) for s, page in zip(starts, table.pages, strict=True)]
    assert all(offset % 16 == 0 and size % 16 == 0 for offset, size in flash.calls)


@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
def test_scratch_is_one_page_or_two_and_the_kernels(layout: Layout) -> None:
    layer = paged(layout, 66, 301)
    table = Table.from_bytes(layer.table)
    kernel = max(native.scratch_bytes(h, is_header=True) for h in table.page_headers())
    for overlaps in (False, True):
        run = layer.run(Flash(layer.image), overlaps=overlaps)
        assert run.scratch_bytes == (1 + overlaps) * table.largest_page + kernel


@pytest.mark.parametrize("overlaps", [False, True])
def test_a_failing_fetch_is_an_error_wherever_it_fails(overlaps: bool) -> None:
    layer = paged()
    whole = Flash(layer.image)
    layer.run(whole, overlaps=overlaps)
    for failing in range(1, len(whole.calls) + 1):
        flash = Flash(layer.image, failing)
        with pytest.raises(DeviceError, match="refused: cannot read external memory"):
            layer.run(flash, overlaps=overlaps)
        assert len(flash.calls) == failing


def test_truncated_and_empty_memories_are_refused() -> None:
    layer = paged()
    for size in (0, 16, len(layer.image) - 16):
        with pytest.raises(DeviceError, match="cannot read external memory"):
            layer.run(Flash(layer.image[:size]), evals=0)


def test_an_image_of_another_model_is_refused_in_prepare() -> None:
    layer, other = paged(seed=1), paged(seed=2)
    image = other.image.ljust(len(layer.image), b"\0")
    for wrong in (image, bytes(len(image)), b"\xff" * len(image)):
        with pytest.raises(DeviceError, match="external memory holds other weights than the model"):
            layer.run(Flash(wrong), evals=0)


@pytest.mark.parametrize("is_trusted", [False, True])
@pytest.mark.parametrize("overlaps", [False, True])
def test_a_page_that_changes_later_is_noticed(is_trusted: bool, overlaps: bool) -> None:
    layer = paged()
    table = Table.from_bytes(layer.table)
    whole = Flash(layer.image)
    layer.run(whole, evals=0)
    second_eval = len(whole.calls) + len(table.pages)
    for page in range(len(table.pages)):
        flash = WornFlash(layer.image, worn=second_eval + page + 1)
        with pytest.raises(DeviceError, match="other weights than the model was made with"):
            layer.run(flash, evals=3, overlaps=overlaps, is_trusted=is_trusted)
        flash = WornFlash(layer.image, worn=second_eval + page + 1)
        layer.run(flash, evals=1, overlaps=overlaps, is_trusted=is_trusted)


def test_damaged_tables_are_refused() -> None:
    layer = paged()
    for name, value, message in [
        ("version", 2, "not packed weights of version 1"),
        ("rows", 46, "a section lies outside the blob"),
        ("rows", 0, "illegal rows, cols or block"),
        ("cols", 89, "tensors do not fit the weights"),
        ("cols", 65536, "illegal rows, cols or block"),
        ("pages", 0, "a section lies outside the blob"),
        ("pages", 2**32 - 1, "a section lies outside the blob"),
        ("largest_page", 64, "a section lies outside the blob"),
        ("offset", 8, "a section lies outside the blob"),
        ("offset", 2**32 - 16, "a section lies outside the blob"),
        ("block_rows", 3, "no kernel of this build runs these packed weights"),
    ]:
        data = np.frombuffer(layer.table, np.uint8).copy()
        data[: PAGED_HEADER.itemsize].view(PAGED_HEADER)[name] = value
        flash = Flash(layer.image)
        with pytest.raises(DeviceError, match=message):
            layer.run(flash, table=data.tobytes(), evals=0)
        assert flash.calls == []
    with pytest.raises(DeviceError, match="a section lies outside the blob"):
        layer.run(Flash(layer.image), table=layer.table[:-4], evals=0)
