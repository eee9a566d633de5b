"""How SPARSE_CONV_2D computes the windows of an output row: a few at a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tflm_sparsesep.converters.blob.pack_sparse_conv import ConvWindow
from tflm_sparsesep.converters.blob.separable_format import Padding

# Of microcontrollers (kernels/sparse_conv/strip.h).
SHARED_PIXELS, OWN_PIXELS = 16, 4


@dataclass(frozen=True)
class Strip:
    """How the windows of an output row are computed, as run_sparse_conv.c does.

    Attributes:
        rows: output rows of all images.
        width: output pixels of a row.
        pixels: computed at once.
        step: columns from one window to the next.
        kernel: columns of a window.
        is_shared: windows overlap.
        is_in_place: nothing is copied.
    """

    rows: int
    width: int
    pixels: int
    step: int
    kernel: int
    is_shared: bool
    is_in_place: bool

    @classmethod
    def of(
        cls,
        window: ConvWindow,
        inputs: tuple[int, ...],
        *,
        shared: int = SHARED_PIXELS,
        own: int = OWN_PIXELS,
    ) -> Strip:
        """Return the strip of a convolution on inputs [batch, height, width, channels].

        It has at most `shared` pixels where windows overlap, else `own`.
        """
        batch, height, width, _ = window.output_shape(inputs, 1)
        kernel, stride = window.kernel[1], window.strides[1]
        reach = (kernel - 1) * window.dilations[1] + 1
        last = (width - 1) * stride + reach
        fits = window.padding is Padding.VALID or last <= inputs[2]
        in_place = window.kernel[0] == 1 and reach == kernel and fits
        overlap = reach == kernel and stride < kernel
        most = width if in_place else min(width, shared if overlap else own)
        step = stride if in_place or overlap else kernel
        return cls(batch * height, width, most, step, kernel, overlap, in_place)

    def columns(self, pixels: int) -> int:
        """Return the columns of the image that are copied for so many pixels."""
        return (pixels - 1) * self.step + self.kernel

    def batches(self) -> Iterator[tuple[int, int]]:
        """Yield the pixels that are computed at once, and how often in a row."""
        whole, rest = divmod(self.width, self.pixels)
        yield self.pixels, whole
        if rest:
            yield rest, 1
