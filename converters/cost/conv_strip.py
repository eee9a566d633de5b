"""How SPARSE_CONV_2D computes windows: a few at a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tflm_sparsesep.converters.blob.pack_sparse_conv import ConvWindow
from tflm_sparsesep.converters.blob.separable_format import Padding

# Of microcontrollers (kernels/sparse_conv/strip.h).
SHARED_PIXELS, OWN_PIXELS = 16, 8


@dataclass(frozen=True)
class Strip:
    """How windows are computed, as run_sparse_conv.c does.

    Attributes:
        rows: output rows of all images, or images where windows of several rows make a strip.
        width: output pixels of each.
        pixels: computed at once.
        step: columns from one window to the next.
        kernel: columns of a window.
        is_shared: windows overlap.
        is_in_place: nothing is copied.
        row: output pixels of a row.
        in_common: columns that a window by itself shares with the one before it in its row.
    """

    rows: int
    width: int
    pixels: int
    step: int
    kernel: int
    is_shared: bool
    is_in_place: bool
    row: int
    in_common: int

    @classmethod
    def of(
        cls,
        window: ConvWindow,
        inputs: tuple[int, ...],
        *,
        shared: int = SHARED_PIXELS,
        own: int = OWN_PIXELS,
        at_once: int = 1,
    ) -> Strip:
        """Return the strip of a convolution on inputs [batch, height, width, channels].

        It has at most `shared` pixels where windows overlap, else `own`, which may be of several
        rows. So are those of rows that end before they reach `shared` in the middle of the vectors
        that the kernel multiplies `at_once`.
        """
        batch, height, width, _ = window.output_shape(inputs, 1)
        kernel, stride = window.kernel[1], window.strides[1]
        reach = (kernel - 1) * window.dilations[1] + 1
        last = (width - 1) * stride + reach
        fits = window.padding is Padding.VALID or last <= inputs[2]
        in_place = window.kernel[0] == 1 and reach == kernel and fits
        is_cut = width < shared and width % at_once != 0
        overlap = reach == kernel and stride < kernel
        shared_columns = overlap and not is_cut
        rows, row = batch * height, width
        if not in_place and not shared_columns:
            rows, width = batch, height * width
        most = width if in_place else min(width, shared if shared_columns else own)
        step = stride if in_place or shared_columns else kernel
        in_common = kernel - stride if overlap else 0
        return cls(rows, width, most, step, kernel, shared_columns, in_place, row, in_common)

    def columns(self, pixels: int) -> int:
        """Return the columns of the image that are copied for so many pixels."""
        return (pixels - 1) * self.step + self.kernel

    def windows(self) -> tuple[int, int]:
        """Return the windows by themselves: those that are copied whole, and the others."""
        whole = self.width
        if self.in_common > 0:
            whole = sum(n % self.pixels == 0 or n % self.row == 0 for n in range(self.width))
        return self.rows * whole, self.rows * (self.width - whole)

    def batches(self) -> Iterator[tuple[int, int]]:
        """Yield the pixels that are computed at once, and how often in a row."""
        whole, rest = divmod(self.width, self.pixels)
        yield self.pixels, whole
        if rest:
            yield rest, 1
