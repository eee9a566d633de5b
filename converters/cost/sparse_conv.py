"""Executed instructions of a CONV_2D on a target: dense (CMSIS-NN) against SPARSE_CONV_2D.

Ours is the kernel of SPARSE_FULLY_CONNECTED on the windows of a few pixels at a time
(`fully_connected.py`), and what brings windows into one piece: a sum of terms with coefficients in
`data/sparse_conv_gather.json`, which names the command that measures them again.
"""

from __future__ import annotations

import math

import numpy as np

from tflm_sparsesep.converters.blob.format import Layout, ValueType
from tflm_sparsesep.converters.blob.pack_sparse_conv import ConvWindow
from tflm_sparsesep.converters.blob.separable_format import Padding
from tflm_sparsesep.converters.blob.size import PackedSize
from tflm_sparsesep.converters.cost import conv_2d, fully_connected, host
from tflm_sparsesep.converters.cost.conv_strip import Strip
from tflm_sparsesep.converters.cost.data import load

# Bytes that are copied at once.
_BLOCK_BYTES = 16
_GATHER_TERMS = (
    "per_call",
    "per_chunk",
    "per_gather",
    "per_gathered_row",
    "per_kept",
    "per_kept_byte",
    "per_tap",
    "per_block",
    "per_word",
    "per_unaligned_tap",
    "per_unaligned_byte",
)


def dense_instructions(
    target: str, window: ConvWindow, inputs: tuple[int, ...], units: int, dtype: str = "int8"
) -> int:
    """Return the instructions of a CONV_2D: CMSIS-NN's int8 one, or TFLM's float32 one at least.

    Args:
        target: a name of `targets.TARGETS`.
        window: the geometry.
        inputs: [batch, height, width, channels].
        units: output channels.
        dtype: int8 or float32.
    """
    outputs = window.output_shape(inputs, units)
    if dtype == "float32":
        sizes = math.prod(outputs[:3]), units, math.prod(window.kernel), window.channels
        inside = _inside(window, inputs, 0) * _inside(window, inputs, 1)
        return conv_2d.float_instructions(target, *sizes, inside=inside)
    weights = (units, *window.kernel, window.channels)
    same = window.padding is Padding.SAME
    edges = conv_2d.edge_windows(inputs[2], window.kernel[1], window.strides[1], same=same)
    return conv_2d.dense_instructions(target, weights, outputs, strides=window.strides, edges=edges)


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
    if target == "host":
        return host.sparse_conv_nanoseconds(layout, size, window, inputs)
    multiplied = kernel_instructions(target, layout, size, window, inputs)
    is_float = layout.value_type is ValueType.FLOAT32
    strip = strip_of(target, layout, window, inputs)
    terms = gather_terms(strip, window, itemsize=4 if is_float else 1)
    return multiplied + round(sum(value * terms[name] for name, value in _gather(target).items()))


def kernel_instructions(
    target: str, layout: Layout, size: PackedSize, window: ConvWindow, inputs: tuple[int, ...]
) -> int:
    """Return what the kernel alone takes of `sparse_instructions`."""
    strip = strip_of(target, layout, window, inputs)
    return strip.rows * sum(
        times * fully_connected.sparse_instructions(target, layout, size, pixels)
        for pixels, times in strip.batches()
    )


def strip_of(target: str, layout: Layout, window: ConvWindow, inputs: tuple[int, ...]) -> Strip:
    """Return how the kernel of a layout gets its windows on a device."""
    at_once = fully_connected.vectors_at_once(target, layout)
    return Strip.of(window, inputs, at_once=at_once)


def _inside(window: ConvWindow, inputs: tuple[int, ...], axis: int) -> float:
    """Return the fraction of taps along an axis that are in the image: 0 down, 1 right."""
    size, dilation, stride = inputs[1 + axis], window.dilations[axis], window.strides[axis]
    outputs, taps = window.output_size(size, axis), window.kernel[axis]
    missing = max(0, (outputs - 1) * stride + (taps - 1) * dilation + 1 - size)
    before = missing // 2 if window.padding is Padding.SAME else 0
    places = np.add.outer(np.arange(outputs) * stride - before, np.arange(taps) * dilation)
    return float(np.mean((places >= 0) & (places < size)))


def gather_terms(strip: Strip, window: ConvWindow, *, itemsize: int = 1) -> dict[str, float]:
    """Return what bringing windows into one piece is made of, by the coefficient's name.

    An element of the image has `itemsize` bytes.
    """
    pixel = window.channels * itemsize
    terms = dict.fromkeys(_GATHER_TERMS, 0.0)
    terms |= {"per_call": 1, "per_chunk": strip.rows * sum(times for _, times in strip.batches())}
    if strip.is_in_place:
        return terms
    if strip.is_shared:
        gathers = [(strip.columns(n), strip.rows * times) for n, times in strip.batches()]
    else:
        whole, others = strip.windows()
        gathers = [(strip.kernel, whole), (strip.kernel - strip.in_common, others)]
        terms["per_kept"] = others
        terms["per_kept_byte"] = others * strip.in_common * window.kernel[0] * pixel
    taps = window.kernel[0] * sum(columns * times for columns, times in gathers)
    terms["per_gather"] = sum(times for _, times in gathers)
    # Along the axis with more pixels.
    terms["per_gathered_row"] = sum(min(n, window.kernel[0]) * times for n, times in gathers)
    if pixel % 4:
        return terms | {"per_unaligned_tap": taps, "per_unaligned_byte": taps * pixel}
    blocks, rest = divmod(pixel, _BLOCK_BYTES)
    return terms | {"per_tap": taps, "per_block": taps * blocks, "per_word": taps * (rest // 4)}


def _gather(target: str) -> dict[str, float]:
    targets: dict[str, dict[str, dict[str, float]]] = load("sparse_conv_gather.json")["targets"]
    return targets[target]["instructions"]
