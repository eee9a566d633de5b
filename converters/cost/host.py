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

from tflm_sparsesep.converters.blob.format import Layout, ValueType
from tflm_sparsesep.converters.blob.size import PackedSize
from tflm_sparsesep.converters.cost.data import load
from tflm_sparsesep.converters.cost.terms import sparse_terms

_FILE = "host_litert.json"
# Cache sizes of the machine that was measured.
_L2_BYTES = 1 << 20
_L3_BYTES = 32 << 20
_SPARSE_TERMS = ("per_call", "per_row", "per_col", "per_group", "per_block")


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


def sparse_terms_of(layout: Layout, size: PackedSize, vectors: int) -> dict[str, float]:
    """Return the terms of a sparse kernel, by the name of the coefficient."""
    terms = sparse_terms(layout, size, batch=vectors)
    return {name: terms[name] for name in _SPARSE_TERMS}


def dense_nanoseconds(rows: int, cols: int, vectors: int, dtype: str) -> int:
    """Return the time of a fully-connected layer or a 1x1 convolution; dtype int8 or float32."""
    return round(_sum(load(_FILE)["dense"][dtype], dense_terms(rows, cols, vectors, dtype)))


def convolution_nanoseconds(products: float) -> int:
    """Return the time of an int8 convolution with `products` multiplications.

    XNNPACK computes a convolution as one large matrix product.
    """
    return round(products * float(load(_FILE)["dense"]["int8"]["nanoseconds"]["per_product"]))


def is_measured(layout: Layout) -> bool:
    """Return True if the cost of `layout` is known; each other layout is slower and larger."""
    return str(layout) in load(_FILE)["sparse"]


def sparse_nanoseconds(layout: Layout, size: PackedSize, vectors: int) -> int:
    """Return an upper estimate of the time in a layout that `is_measured`."""
    data = load(_FILE)
    kernel = data["sparse"][str(layout)]
    dense = data["dense"]["float32" if layout.value_type is ValueType.FLOAT32 else "int8"]
    margin = (1.0 + float(kernel["held_out_error"])) * (1.0 + float(dense["held_out_error"]))
    return round(margin * _sum(kernel, sparse_terms_of(layout, size, vectors)))


def _sum(fit: dict[str, Any], terms: dict[str, float]) -> float:
    nanoseconds: dict[str, float] = fit["nanoseconds"]
    return sum(value * terms[name] for name, value in nanoseconds.items())
