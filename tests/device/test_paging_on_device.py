"""Layers in pages of a simulated slow flash, on emulated cores."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tests.support.device_tools import needs_arm_compiler, needs_emulator
from tests.support.layers import check_outputs, layout_case
from tests.support.models.sparse_models import sparse_conv_model
from tests.support.pages import page_conv
from tests.support.sparse_convs import random_conv
from tflm_sparsesep.converters import native
from tflm_sparsesep.converters.blob.format import Layout
from tflm_sparsesep.converters.blob.layouts import LAYOUTS, layouts_for
from tflm_sparsesep.converters.blob.pack import pack
from tflm_sparsesep.converters.blob.pack_sparse_conv import ConvWindow
from tflm_sparsesep.converters.blob.page_weights import page_weights
from tflm_sparsesep.converters.blob.paged_format import Table
from tflm_sparsesep.converters.blob.sparse_conv_format import HEADER
from tflm_sparsesep.converters.errors import DeviceError
from tflm_sparsesep.converters.layers.paged import paged_scratch_bytes
from tflm_sparsesep.converters.op_names import SPARSE_CONV_2D, SPARSE_FULLY_CONNECTED
from tflm_sparsesep.converters.tflite import editor
from tflm_sparsesep.device import emulation, toolchain
from tflm_sparsesep.device.emulation import LayerRun
from tflm_sparsesep.device.layer_job import ExternalFlash

pytestmark = pytest.mark.slow

TARGETS = ("cortex-m0", "cortex-m4", "cortex-m55")
CASES = [
    pytest.param(target, layout, id=f"{target}-{layout}")
    for target in TARGETS
    for layout in layouts_for(target)
]
SAMPLES, BATCH, ROWS, COLS = 3, 2, 75, 67


def run(
    target: str, layout: Layout, *, table: bytes | None = None, **settings: Any
) -> tuple[LayerRun, Table]:
    """A layer of ROWS x COLS in two or more pages; its outputs are checked."""
    case = layout_case(
        np.random.default_rng(8), layout, ROWS, COLS, zeros=0.7, batch=SAMPLES * BATCH
    )
    blob = pack(case.layer, layout)
    data, image = page_weights(
        blob, page_bytes=len(blob) // 2, input_zero_point=case.options.input_zero_point
    )
    outcome = emulation.run_layer(
        target,
        SPARSE_FULLY_CONNECTED,
        case.options.to_bytes(),
        data if table is None else table,
        case.inputs.reshape(SAMPLES, BATCH, COLS),
        (BATCH, ROWS),
        flash=ExternalFlash(image, **settings),
    )
    check_outputs(case, outcome.outputs.reshape(-1, ROWS))
    return outcome, Table.from_bytes(data)


@needs_emulator
@pytest.mark.parametrize(("target", "layout"), CASES)
def test_outputs_equal_reference_and_each_page_is_fetched_once(target: str, layout: Layout) -> None:
    outcome, table = run(target, layout, loops_per_byte=3)
    assert len(table.pages) > 1
    assert outcome.fetched_bytes == (1 + SAMPLES) * table.external_bytes
    chunks = sum(-(-page.bytes // 128) for page in table.pages)
    assert outcome.fetches == chunks + SAMPLES * len(table.pages)
    # What Python states without a device: a page and what the kernel asks for on it.
    kernel = max(
        native.scratch_bytes(header, target=target, is_header=True)
        for header in table.page_headers()
    )
    assert outcome.scratch_bytes == table.largest_page + kernel


@needs_emulator
@pytest.mark.parametrize("target", TARGETS)
def test_overlapping_and_trusted_memories(target: str) -> None:
    layout = layouts_for(target)[0]
    plain, table = run(target, layout)
    overlapping, _ = run(target, layout, overlaps=True)
    assert overlapping.scratch_bytes == plain.scratch_bytes + table.largest_page
    assert overlapping.fetched_bytes == plain.fetched_bytes
    trusted, _ = run(target, layout, is_trusted=True)
    assert trusted.instructions[0] == plain.instructions[0]
    assert trusted.instructions[1] < plain.instructions[1]
    slow, _ = run(target, layout, loops_per_byte=10)
    # A round of an empty loop takes one instruction or more.
    assert slow.instructions[1] >= plain.instructions[1] + 10 * table.external_bytes


@needs_emulator
@pytest.mark.parametrize(("target", "layout"), CASES)
def test_convolutions_equal_the_unpaged_ones(target: str, layout: Layout) -> None:
    # Overlapping windows with padding, and windows that are read in place.
    for window, size in [
        (ConvWindow((3, 3), 8), (5, 19)),
        (ConvWindow((1, 1), 24, (2, 2)), (7, 9)),
    ]:
        rng = np.random.default_rng(9)
        conv = random_conv(rng, layout, window=window, units=42, size=size, zeros=0.7)
        inputs = np.stack([conv.images[:1]] * 2)
        shape = (1, *conv.output_shape[1:])
        blob, image = page_conv(conv, layout)
        table = Table.from_bytes(blob[HEADER.itemsize :])
        outcome = emulation.run_layer(
            target, SPARSE_CONV_2D, b"", blob, inputs, shape, flash=ExternalFlash(image)
        )
        pixels = shape[1] * shape[2]
        first_image = replace(conv.case, inputs=conv.case.inputs[:pixels])
        for outputs in outcome.outputs:
            check_outputs(first_image, outputs.reshape(pixels, -1))
        assert len(table.pages) > 1
        assert outcome.fetched_bytes == 3 * table.external_bytes
        (op,) = editor.read(sparse_conv_model(conv, layout, blob=blob)).operators
        assert outcome.scratch_bytes == paged_scratch_bytes(op, target=target)


@needs_emulator
def test_failing_fetches_and_damaged_tables_end_in_clean_errors() -> None:
    layout = LAYOUTS[0]
    whole, table = run("cortex-m0", layout)
    chunks = sum(-(-page.bytes // 128) for page in table.pages)
    for failing, stage in [(1, "prepare"), (chunks, "prepare"), (chunks + 1, "eval")]:
        for overlaps in (False, True):
            with pytest.raises(DeviceError, match=f"in {stage}: cannot read external memory"):
                run("cortex-m0", layout, failing_fetch=failing, overlaps=overlaps)
    with pytest.raises(DeviceError, match="in eval: cannot read external memory"):
        run("cortex-m0", layout, failing_fetch=whole.fetches)
    with pytest.raises(DeviceError, match="in prepare: a section lies outside the blob"):
        run("cortex-m0", layout, table=table.to_bytes()[:-4])


@needs_emulator
@pytest.mark.parametrize("target", ["cortex-m0", "cortex-m4"])
def test_memory_and_instructions(target: str) -> None:
    """The promise of docs/paging.md: 4 KiB pages of a layer 784 -> 300 with 90% zeros."""
    layout = layouts_for(target)[0]
    case = layout_case(np.random.default_rng(1), layout, 300, 784, zeros=0.9, batch=2)
    blob = pack(case.layer, layout)
    data, image = page_weights(
        blob, page_bytes=4096, input_zero_point=case.options.input_zero_point
    )
    arguments = (SPARSE_FULLY_CONNECTED, case.options.to_bytes())
    inputs = case.inputs[:, None]
    unpaged = emulation.run_layer(target, *arguments, blob, inputs, (1, 300))
    paged = emulation.run_layer(
        target, *arguments, data, inputs, (1, 300), flash=ExternalFlash(image, is_trusted=True)
    )
    np.testing.assert_array_equal(paged.outputs, unpaged.outputs)
    assert paged.scratch_bytes <= 4096 + 512 < len(blob) / 10
    assert paged.persistent_bytes == unpaged.persistent_bytes + 12
    # Checksum (about one instruction a byte), copying (less), and what a page takes to begin.
    assert paged.instructions[1] - unpaged.instructions[1] < 2.5 * len(image)
    # The complete check, most of it a dozen instructions an index or a count.
    assert paged.instructions[0] - paged.instructions[1] < 16 * len(image)


@needs_arm_compiler
@pytest.mark.parametrize("target", TARGETS)
def test_an_operator_without_paging_carries_none_of_it(target: str) -> None:
    paging, usual = (
        toolchain.run_tool(
            ["arm-none-eabi-nm", str(toolchain.build_firmware(target, defines=defines))], what="nm"
        )
        for defines in (("FIRMWARE_PAGING",), ())
    )
    assert "sparsesep_paged_fully_connected_eval" in paging
    assert "sparsesep_paged_sparse_conv_eval" in paging
    assert "page" not in usual
