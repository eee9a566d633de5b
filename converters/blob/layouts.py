"""The blob layouts that kernels exist for: what the packer may choose from.

A layout says how weights are stored, not which kernel reads them: the device picks the fastest
variant of its own `kernels/sparse_fully_connected/variants.inc` that runs it.
"""

from __future__ import annotations

from tflm_sparsesep.converters.blob.format import (
    IndexEncoding,
    Layout,
    Major,
    ValueOrder,
    ValueType,
)
from tflm_sparsesep.converters.targets import get_target

LAYOUTS: tuple[Layout, ...] = (
    Layout(IndexEncoding.DELTA8),
    Layout(IndexEncoding.U16),
    Layout(IndexEncoding.GAP4, count_multiple=1),
    Layout(IndexEncoding.GAP4, count_multiple=1, value_type=ValueType.PALETTE4),
    Layout(IndexEncoding.DELTA8, count_multiple=1, value_type=ValueType.PALETTE4),
    Layout(IndexEncoding.U16, value_type=ValueType.FLOAT32),
    Layout(IndexEncoding.DELTA8, 1, 4, count_multiple=1),
    Layout(IndexEncoding.DELTA8, 4, 1, count_multiple=2, value_order=ValueOrder.PAIRS),
    Layout(IndexEncoding.DELTA8, 2, 4, count_multiple=1),
    Layout(IndexEncoding.DELTA8, 4, 4, count_multiple=1),
    Layout(IndexEncoding.DELTA8, 1, 16, count_multiple=1),
    Layout(IndexEncoding.OFFSET16, 4, 1, count_multiple=1, major=Major.COLUMN),
    # For phones and PCs.
    Layout(IndexEncoding.DELTA8, 1, 4, count_multiple=1, value_type=ValueType.FLOAT32),
    Layout(IndexEncoding.DELTA8, 4, 1, count_multiple=1, value_type=ValueType.FLOAT32),
    Layout(IndexEncoding.DELTA8, 4, 4, count_multiple=1, value_type=ValueType.FLOAT32),
    Layout(IndexEncoding.DELTA8, 1, 16, count_multiple=1, value_type=ValueType.FLOAT32),
    # For the DSP extension, two rows at a time.
    Layout(IndexEncoding.DELTA8, 2, 4, count_multiple=1, value_order=ValueOrder.WOVEN),
    Layout(IndexEncoding.DELTA8, 4, 4, count_multiple=1, value_order=ValueOrder.WOVEN),
    # For Helium, 16 columns at a time.
    Layout(IndexEncoding.WINDOW8, count_multiple=1),
    Layout(IndexEncoding.WINDOW8, 1, 4, count_multiple=1),
    Layout(IndexEncoding.WINDOW8, 4, 1, count_multiple=16, value_order=ValueOrder.ROWS16),
    Layout(IndexEncoding.WINDOW8, 2, 4, count_multiple=4, value_order=ValueOrder.ROWS16),
    Layout(IndexEncoding.WINDOW8, 4, 4, count_multiple=4, value_order=ValueOrder.ROWS16),
)


def layouts_for(target: str) -> tuple[Layout, ...]:
    """The layouts that a target has kernels for: those made for one extension stay with it.

    The host runs all of them, so that it can check any blob.
    """
    if target == "host":
        return LAYOUTS
    return tuple(layout for layout in LAYOUTS if _has_kernel(layout, target))


def _has_kernel(layout: Layout, target: str) -> bool:
    isa = get_target(target).isa
    if layout.value_type is ValueType.FLOAT32:
        return layout.pattern == "1x1"
    if layout.index_encoding is IndexEncoding.WINDOW8:
        return isa == "mve"
    if isa == "mve":
        # Blocks in windows are several times as fast there; other encodings of these patterns
        # would only take code. 1x16 needs no windows.
        if layout.index_encoding is IndexEncoding.OFFSET16:
            return False
        if layout.index_encoding is IndexEncoding.DELTA8:
            return layout.pattern in ("1x1", "1x16")
    if layout.value_order is ValueOrder.WOVEN:
        return isa == "dsp"
    # The DSP extension runs blocks of these shapes in woven order only.
    is_woven_there = layout.block_rows > 1 and layout.block_cols == 4
    return not (is_woven_there and isa == "dsp")
