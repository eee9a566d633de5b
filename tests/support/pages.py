"""Pages of layers, their bounds, and a memory that holds them."""

from __future__ import annotations

from dataclasses import dataclass, field

from tests.support.sparse_convs import ConvCase
from tflm_sparsesep.converters.blob.format import Layout
from tflm_sparsesep.converters.blob.pack import PackableWeights
from tflm_sparsesep.converters.blob.page_weights import page_weights
from tflm_sparsesep.converters.blob.paged_format import PAGE_ALIGNMENT
from tflm_sparsesep.converters.blob.size import size_of
from tflm_sparsesep.converters.blob.sparse_conv_format import HEADER


def smallest_page(layer: PackableWeights, layout: Layout) -> int:
    """Return the bytes of the smallest pages that hold every row of blocks of `layer`."""
    height = layout.block_rows
    starts = range(0, len(layer.weights), height)
    largest = max(size_of(layer.weights[first : first + height], layout).bytes for first in starts)
    return largest + -largest % PAGE_ALIGNMENT


def page_conv(conv: ConvCase, layout: Layout, *, part: float = 0.4) -> tuple[bytes, bytes]:
    """Return the table behind the header of `conv`, and its pages of about `part` of its blob."""
    blob = conv.blob(layout)
    weights = blob[HEADER.itemsize :]
    table, image = page_weights(
        weights,
        page_bytes=max(int(part * len(weights)), smallest_page(conv.case.layer, layout)),
        input_zero_point=conv.case.options.input_zero_point,
    )
    return blob[: HEADER.itemsize] + table, image


@dataclass
class Flash:
    """A memory that counts, and fails from the `failing`th fetch on (from 1)."""

    image: bytes
    failing: int | None = None
    calls: list[tuple[int, int]] = field(default_factory=list)

    def __call__(self, offset: int, size: int) -> bytes | None:
        self.calls.append((offset, size))
        is_there = offset + size <= len(self.image)
        if not is_there or (self.failing is not None and len(self.calls) >= self.failing):
            return None
        return self.image[offset : offset + size]


@dataclass
class WornFlash(Flash):
    """Gives the last byte but eight of its `worn`th fetch back wrong."""

    worn: int = 0

    def __call__(self, offset: int, size: int) -> bytes | None:
        data = super().__call__(offset, size)
        if data is None or len(self.calls) != self.worn:
            return data
        return data[:-9] + bytes([data[-9] ^ 4]) + data[-8:]
