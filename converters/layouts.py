"""The blob layouts that kernels exist for: what the packer may choose from.

A layout says how weights are stored, not which kernel reads them: the device picks the fastest
variant of its own `kernels/fully_connected_sparse/variants.inc` that runs it.
"""

from __future__ import annotations

from tflm_sparsesep.converters.packed_format import IndexEncoding, Layout

LAYOUTS: tuple[Layout, ...] = (
    Layout(IndexEncoding.DELTA8),
    Layout(IndexEncoding.U16),
)
