"""Executed instructions of a CONV_2D on a target: dense (CMSIS-NN) against SPARSE_CONV_2D.

Ours is the kernel of SPARSE_FULLY_CONNECTED on the windows of a few pixels at a time
(`fully_connected.py`), and what brings windows into one piece: a sum of terms with coefficients in
`data/sparse_conv_gather.json`, which names the command that measures them again.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from tflm_sparsesep.converters.blob.format import Layout
from tflm_sparsesep.converters.blob.pack_sparse_conv import ConvWindow
from tflm_sparsesep.converters.blob.separable_format import Padding
from tflm_sparsesep.converters.blob.size import PackedSize
from tflm_sparsesep.converters.cost import conv_2d, fully_connected, pointwise_conv
from tflm_sparsesep.converters.cost.data import load

# Of kernels/sparse_conv/run_sparse_conv.c.
_SHARED_PIXELS, _OWN_PIXELS = 16, 4
# Bytes that are copied at once.
_BLOCK_BYTES = 16


def dense_instructions(target: str, window: ConvWindow, inputs: tuple[int, ...], units: int) -> int:
    """Return the instructions of CMSIS-NN's int8 CONV_2D.

    Args:
        target: a name of `targets.TARGETS`.
        window: the geometry.
        inputs: [batch, height, width, channels].
        units: output channels.
    """
    outputs = window.output_shape(inputs, units)
    if (window.kernel, window.strides) == ((1, 1), (1, 1)):
        pixels = math.prod(outputs[:3])
        return pointwise_conv.dense_instructions(target, units, window.channels, pixels)
    weights = (units, *window.kernel, window.channels)
    return conv_2d.dense_instructions(target, weights, outputs)


def sparse_instructions(
    target: str, layout: Layout, size: PackedSize, window: ConvWindow, inputs: tuple[int, ...]
) -> int:
    """Return the instructions of SPARSE_CONV_2D.

    Args:
        target: a name of `targets.TARGETS`.
        layout: one that is measured on the target.
        size: of the packed matrix.
        window: the geometry.
        inputs: [batch, height, width, channels].
    """
    multiplied = kernel_instructions(target, layout, size, window, inputs)
    if target == "host":
        return multiplied
    terms = gather_terms(window, inputs)
    return multiplied + round(sum(value * terms[name] for name, value in _gather(target).items()))


def kernel_instructions(
    target: str, layout: Layout, size: PackedSize, window: ConvWindow, inputs: tuple[int, ...]
) -> int:
    """Return what the kernel alone takes of `sparse_instructions`."""
    strip = Strip.of(window, inputs)
    return strip.rows * sum(
        times * fully_connected.sparse_instructions(target, layout, size, pixels)
        for pixels, times in strip.batches()
    )


def gather_terms(window: ConvWindow, inputs: tuple[int, ...]) -> dict[str, float]:
    """Return what bringing int8 windows into one piece is made of, by the coefficient's name."""
    strip = Strip.of(window, inputs)
    chunks = strip.rows * sum(times for _, times in strip.batches())
    if strip.is_in_place:
        return _terms(chunks=chunks)
    columns = strip.rows * sum(times * strip.columns(n) for n, times in strip.batches())
    gathers = chunks if strip.is_shared else strip.rows * strip.width
    taps = columns * window.kernel[0]
    if window.channels % 4:
        return _terms(
            chunks, gathers, gathers * window.kernel[0], taps, unaligned=taps * window.channels
        )
    blocks, rest = divmod(window.channels, _BLOCK_BYTES)
    return _terms(
        chunks, gathers, gathers * window.kernel[0], taps, taps * blocks, taps * (rest // 4)
    )


def _terms(
    chunks: float,
    gathers: float = 0,
    gathered_rows: float = 0,
    taps: float = 0,
    blocks: float = 0,
    words: float = 0,
    *,
    unaligned: float = 0,
) -> dict[str, float]:
    return {
        "per_call": 1,
        "per_chunk": chunks,
        "per_gather": gathers,
        "per_gathered_row": gathered_rows,
        "per_tap": 0 if unaligned else taps,
        "per_block": blocks,
        "per_word": words,
        "per_unaligned_tap": taps if unaligned else 0,
        "per_unaligned_byte": unaligned,
    }


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
    def of(cls, window: ConvWindow, inputs: tuple[int, ...]) -> Strip:
        """Return the strip of a convolution on inputs [batch, height, width, channels]."""
        batch, height, width, _ = window.output_shape(inputs, 1)
        kernel, stride = window.kernel[1], window.strides[1]
        reach = (kernel - 1) * window.dilations[1] + 1
        last = (width - 1) * stride + reach
        fits = window.padding is Padding.VALID or last <= inputs[2]
        in_place = window.kernel[0] == 1 and reach == kernel and fits
        shared = reach == kernel and stride < kernel
        most = width if in_place else min(width, _SHARED_PIXELS if shared else _OWN_PIXELS)
        step = stride if in_place or shared else kernel
        return cls(batch * height, width, most, step, kernel, shared, in_place)

    def columns(self, pixels: int) -> int:
        """Return the columns of the image that are copied for so many pixels."""
        return (pixels - 1) * self.step + self.kernel

    def batches(self) -> Iterator[tuple[int, int]]:
        """Yield the pixels that are computed at once, and how often in a row."""
        whole, rest = divmod(self.width, self.pixels)
        yield self.pixels, whole
        if rest:
            yield rest, 1


def _gather(target: str) -> dict[str, float]:
    targets: dict[str, dict[str, dict[str, float]]] = load("sparse_conv_gather.json")["targets"]
    return targets[target]["instructions"]
