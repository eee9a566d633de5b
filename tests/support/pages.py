"""Bounds of the pages of a layer."""

from __future__ import annotations

from tflm_sparsesep.converters.blob.format import Layout
from tflm_sparsesep.converters.blob.pack import PackableWeights
from tflm_sparsesep.converters.blob.paged_format import PAGE_ALIGNMENT
from tflm_sparsesep.converters.blob.size import size_of


def smallest_page(layer: PackableWeights, layout: Layout) -> int:
    """Return the bytes of the smallest pages that hold every row of blocks of `layer`."""
    height = layout.block_rows
    starts = range(0, len(layer.weights), height)
    largest = max(size_of(layer.weights[first : first + height], layout).bytes for first in starts)
    return largest + -largest % PAGE_ALIGNMENT
