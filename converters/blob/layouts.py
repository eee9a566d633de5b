"""The blob layouts that have kernels.

A layout defines the storage of the weights, not the kernel that reads them: the device takes the
first variant in its list that fits.
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
    """Return the layouts that `target` has kernels for.

    The host runs all layouts, so that it can verify any blob.

    Raises:
        ConfigError: the target is unknown.
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
        # WINDOW8 is several times as fast with Helium, so that other encodings of these patterns
        # would only add code. 1x16 needs no windows.
        if layout.index_encoding is IndexEncoding.OFFSET16:
            return False
        if layout.index_encoding is IndexEncoding.DELTA8:
            return layout.pattern in ("1x1", "1x16")
    if layout.value_order is ValueOrder.WOVEN:
        return isa == "dsp"
    # Kernels of the DSP extension take these patterns in interleaved order only.
    is_interleaved = layout.block_rows > 1 and layout.block_cols == 4
    return not (is_interleaved and isa == "dsp")
