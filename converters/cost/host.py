"""Nanoseconds of a layer in LiteRT on a PC or a phone: XNNPACK against the delegate's CPU backend.

Times are sums of terms with coefficients fitted to the fastest of many inferences, on one machine
and one thread. `data/host_litert.json` names that machine, the command that measures another one,
and the error on layers outside the fit. Sparse times are upper estimates: they include the errors
of both models, so that no layer becomes sparse where dense would win.

Other machines have other times; the decision needs only their ratio. The ratio depends most on
XNNPACK's instruction set: without VNNI, or with less memory bandwidth for each thread, dense int8
layers take longer relative to sparse ones.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tflm_sparsesep.converters.blob.format import Layout, ValueType
from tflm_sparsesep.converters.blob.pack_sparse_conv import ConvWindow
from tflm_sparsesep.converters.blob.size import PackedSize
from tflm_sparsesep.converters.cost.conv_strip import Strip
from tflm_sparsesep.converters.cost.data import load
from tflm_sparsesep.converters.cost.terms import sparse_terms

_FILE = "host_litert.json"
# Cache sizes of the machine that was measured.
_L2_BYTES = 1 << 20
_L3_BYTES = 32 << 20
_VECTOR_TERMS = ("per_row", "per_col", "per_group", "per_block")
# Those that a single vector has.
SINGLE_TERMS = ("per_call", *_VECTOR_TERMS)
# Most vectors that an int8 kernel takes at once, and fewest (sparse_fully_connected/vnni/vnni.h).
STRIP_VECTORS, _LEAST_VECTORS = 32, 4
# Vectors that it turns at once, and that a register holds.
_TURNED, _REGISTER = 8, 16


def dense_terms(rows: int, cols: int, vectors: int, dtype: str) -> dict[str, float]:
    """Return the terms of a matrix product in XNNPACK, by the name of the coefficient.

    Weights larger than a cache add a term of all their bytes, because a stream that exceeds the
    cache evicts itself. Sparse weights rarely reach these sizes.
    """
    weight_bytes = rows * cols * (4 if dtype == "float32" else 1)
    return {
        "per_call": 1.0,
        "per_input": cols * vectors,
        "per_output": rows * vectors,
        "per_weight": rows * cols,
        "per_byte_past_l2": weight_bytes * (weight_bytes > _L2_BYTES),
        "per_byte_past_l3": weight_bytes * (weight_bytes >= _L3_BYTES),
        "per_product": rows * cols * vectors,
    }


def dense_conv_terms(pixels: int, units: int, taps: int, channels: int) -> dict[str, float]:
    """Return the terms of a convolution in XNNPACK, by the name of the coefficient.

    It multiplies channels by fours and units by sixteens, the rest being zeros.
    """
    weights = _up(units, 16) * taps * _up(channels, 4)
    return {
        "per_call": 1.0,
        "per_tap": pixels * taps,
        "per_output": pixels * units,
        "per_weight": weights,
        "per_product": pixels * weights,
    }


def sparse_terms_of(layout: Layout, size: PackedSize, vectors: int) -> dict[str, float]:
    """Return the terms of a sparse kernel, by the name of the coefficient."""
    return {"per_call": 1.0} | _kernel_terms(layout, size, vectors, 0)


def sparse_conv_terms(
    layout: Layout, size: PackedSize, window: ConvWindow, inputs: tuple[int, ...]
) -> dict[str, float]:
    """Return the terms of a SPARSE_CONV_2D on inputs [batch, height, width, channels]."""
    strip = Strip.of(window, inputs, shared=STRIP_VECTORS, own=STRIP_VECTORS)
    column = window.kernel[0] * window.channels
    step = strip.step * column
    overlaps = step < size.cols and size.cols % step == 0 and step % layout.block_cols == 0
    terms = {"per_call": 1.0, "per_chunk": 0.0, "per_copied_tap": 0.0, "per_copied_byte": 0.0}
    for pixels, times in strip.batches():
        chunks = strip.rows * times
        kernel = _kernel_terms(layout, size, pixels, step if overlaps else 0)
        terms |= {name: terms.get(name, 0.0) + chunks * n for name, n in kernel.items()}
        terms["per_chunk"] += chunks
        if not strip.is_in_place:
            columns = chunks * strip.columns(pixels)
            terms["per_copied_tap"] += columns * window.kernel[0]
            terms["per_copied_byte"] += columns * column * np.dtype(_dtype(layout)).itemsize
    return terms


def _kernel_terms(layout: Layout, size: PackedSize, vectors: int, step: int) -> dict[str, float]:
    """Return the terms of a call of a kernel. Vectors share their steps, unless `step` is 0.

    int8 kernels take strips of vectors together, and what is left one by one; float32 kernels take
    all one by one.
    """
    whole, rest = divmod(vectors, STRIP_VECTORS)
    strips = [STRIP_VECTORS] * whole + [rest] * (rest >= _LEAST_VECTORS)
    if layout.value_type is ValueType.FLOAT32:
        strips = []
    once = sparse_terms(layout, size)
    alone = vectors - sum(strips)
    turned = sum(_up(n, _TURNED) for n in strips) * size.cols
    if step:
        turned = sum(_up(n + size.cols // step - 1, _TURNED) for n in strips) * step
    registers = sum(-(-n // _REGISTER) for n in strips)
    return {name: once[name] * alone for name in _VECTOR_TERMS} | {
        "per_offset": size.cols / layout.block_cols if strips else 0.0,
        "per_turned_col": turned,
        "per_strip_row": sum(_up(n, _TURNED) for n in strips) * size.rows,
        "per_strip_group": len(strips) * size.groups,
        "per_strip_block": len(strips) * size.blocks,
        "per_register_block": registers * size.blocks,
    }


def dense_nanoseconds(rows: int, cols: int, vectors: int, dtype: str) -> int:
    """Return the time of a fully-connected layer or a 1x1 convolution; dtype int8 or float32."""
    return round(_sum(load(_FILE)["dense"][dtype], dense_terms(rows, cols, vectors, dtype)))


def products_nanoseconds(products: float) -> int:
    """Return the time of int8 products in XNNPACK, for operators that were not measured."""
    return round(products * float(load(_FILE)["dense"]["int8"]["nanoseconds"]["per_product"]))


def convolution_nanoseconds(
    pixels: int, units: int, taps: int, channels: int, dtype: str = "int8"
) -> int:
    """Return the time of a convolution; dtype int8 or float32."""
    terms = dense_conv_terms(pixels, units, taps, channels)
    return round(_sum(load(_FILE)["dense"][f"{dtype} convolution"], terms))


def is_measured(layout: Layout) -> bool:
    """Return True if the cost of `layout` is known; each other layout is slower and larger."""
    return str(layout) in load(_FILE)["sparse"]


def sparse_nanoseconds(layout: Layout, size: PackedSize, vectors: int) -> int:
    """Return an upper estimate of the time in a layout that `is_measured`."""
    return _upper_estimate(layout, _dtype(layout), sparse_terms_of(layout, size, vectors))


def sparse_conv_nanoseconds(
    layout: Layout, size: PackedSize, window: ConvWindow, inputs: tuple[int, ...]
) -> int:
    """Return an upper estimate of the time of a SPARSE_CONV_2D in a layout that `is_measured`."""
    terms = sparse_conv_terms(layout, size, window, inputs)
    return _upper_estimate(layout, f"{_dtype(layout)} convolution", terms)


def _upper_estimate(layout: Layout, dense: str, terms: dict[str, float]) -> int:
    """Return the time of terms, with the errors of both models."""
    data = load(_FILE)
    kernel = data["sparse"][str(layout)]
    margin = 1.0 + float(kernel["held_out_error"])
    margin *= 1.0 + float(data["dense"][dense]["held_out_error"])
    return round(margin * _sum(kernel, terms))


def _up(count: int, multiple: int) -> int:
    return -(-count // multiple) * multiple


def _dtype(layout: Layout) -> str:
    return "float32" if layout.value_type is ValueType.FLOAT32 else "int8"


def _sum(fit: dict[str, Any], terms: dict[str, float]) -> float:
    nanoseconds: dict[str, float] = fit["nanoseconds"]
    return sum(value * terms.get(name, 0.0) for name, value in nanoseconds.items())
