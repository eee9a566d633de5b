"""The blob layouts that kernels exist for: what the packer may choose from.

A layout says how weights are stored, not which kernel reads them: the device picks the fastest
variant of its own `kernels/fully_connected_sparse/variants.inc` that runs it.
"""

from __future__ import annotations

from tflm_sparsesep.converters.packed_format import (
    IndexEncoding,
    Layout,
    Major,
    ValueOrder,
    ValueType,
)

LAYOUTS: tuple[Layout, ...] = (
    Layout(IndexEncoding.DELTA8),
    Layout(IndexEncoding.U16),
    Layout(IndexEncoding.GAP4, count_multiple=1),
    Layout(IndexEncoding.BITMAP, count_multiple=1),
    Layout(IndexEncoding.GAP4, count_multiple=1, value_type=ValueType.PALETTE4),
    Layout(IndexEncoding.U16, value_type=ValueType.FLOAT32),
    Layout(IndexEncoding.DELTA8, 1, 4, count_multiple=1),
    Layout(IndexEncoding.DELTA8, 4, 1, count_multiple=2, value_order=ValueOrder.PAIRS),
    Layout(IndexEncoding.DELTA8, 2, 4, count_multiple=1),
    Layout(IndexEncoding.DELTA8, 4, 4, count_multiple=1),
    Layout(IndexEncoding.DELTA8, 1, 16, count_multiple=1),
    Layout(IndexEncoding.OFFSET16, 4, 1, count_multiple=1, major=Major.COLUMN),
)
