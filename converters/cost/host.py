"""Nanoseconds of a layer in LiteRT on a PC or a phone: dense by XNNPACK against the delegate's CPU.

A model, as for the Cortex cores, but of times: sums of terms with coefficients fitted to the
fastest of many inferences on one machine and one thread. `data/host_litert.json` names that
machine, the command that measures another one, and how far off the model is on layers outside the
fit. Sparse costs are upper estimates: by as much as both models may err, so that no layer is made
sparse where dense would win.

Other machines have other times. What counts is their ratio, and it depends most on what XNNPACK
finds there: on a processor without VNNI, or with one thread's share of memory smaller, dense int8
layers take longer against sparse ones than here.
"""

from __future__ import annotations

import functools
import importlib.resources
import json
from typing import Any

from tflm_sparsesep.converters.blob.format import Layout, ValueType
from tflm_sparsesep.converters.blob.size import PackedSize
from tflm_sparsesep.converters.cost.terms import sparse_terms

# Caches of the machine that the data is from.
_L2_BYTES = 1 << 20
_L3_BYTES = 32 << 20
_SPARSE_TERMS = ("per_call", "per_row", "per_col", "per_group", "per_block")


@functools.cache
def data() -> dict[str, Any]:
    """What was measured, as the file has it."""
    path = importlib.resources.files(__package__).joinpath("data", "host_litert.json")
    parsed: dict[str, Any] = json.loads(path.read_text())
    return parsed


def dense_terms(rows: int, cols: int, vectors: int, dtype: str) -> dict[str, float]:
    """What a matrix product by XNNPACK takes, by the name of the coefficient.

    Weights larger than a cache come on top with all their bytes: who streams through more than
    fits finds nothing left of the time before. Sparse ones rarely reach these sizes.
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
    """What our kernels take, by the name of the coefficient."""
    terms = sparse_terms(layout, size, batch=vectors)
    return {name: terms[name] for name in _SPARSE_TERMS}


def dense_fully_connected(rows: int, cols: int, vectors: int, dtype: str) -> int:
    """Nanoseconds of a dense layer, `dtype` int8 or float32; a 1x1 convolution is one, too."""
    return round(_sum(data()["dense"][dtype], dense_terms(rows, cols, vectors, dtype)))


def multiply_accumulates(number: float) -> int:
    """Nanoseconds of so many int8 products of a convolution by XNNPACK.

    Of a large matrix product, which is what it makes of a convolution.
    """
    return round(number * float(data()["dense"]["int8"]["nanoseconds"]["per_product"]))


def is_measured(layout: Layout) -> bool:
    """Whether the cost of a layout is known; others are slower and larger than one that is."""
    return str(layout) in data()["sparse"]


def sparse_fully_connected(layout: Layout, size: PackedSize, vectors: int) -> int:
    """Nanoseconds of our kernel, an upper estimate, for a layout that `is_measured`."""
    kernel = data()["sparse"][str(layout)]
    dense = data()["dense"]["float32" if layout.value_type is ValueType.FLOAT32 else "int8"]
    margin = (1.0 + float(kernel["held_out_error"])) * (1.0 + float(dense["held_out_error"]))
    return round(margin * _sum(kernel, sparse_terms_of(layout, size, vectors)))


def _sum(fit: dict[str, Any], terms: dict[str, float]) -> float:
    nanoseconds: dict[str, float] = fit["nanoseconds"]
    return sum(value * terms[name] for name, value in nanoseconds.items())
