"""Instructions of fully-connected layers on a target: dense in TFLM on CMSIS-NN, and packed.

Measured dense shapes have their measured count (`data/dense_cmsis_nn.json`). For other shapes, they
are a sum of terms with coefficients fitted here to those counts, by least squares of the relative
error; the file also holds counts outside the fit. The kernel takes two rows at once, without the
DSP extension three, with Helium four.

The instructions of sparse kernels are sums of the terms in `terms`. `data/sparse_kernels.json`
holds one set of coefficients for each target and layout, the command that measures them again, and
the error on shapes outside the fit. They are for the activation limits of int8, as of a RELU whose
output range begins at 0; narrower limits cost the DSP extension two instructions for each row, and
Armv7-M four where it takes several vectors at once.

On `host`, costs are nanoseconds in LiteRT (`host`).
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from tflm_sparsesep.converters.blob.format import Layout
from tflm_sparsesep.converters.blob.size import PackedSize
from tflm_sparsesep.converters.cost import host, pointwise_conv
from tflm_sparsesep.converters.cost.data import load
from tflm_sparsesep.converters.cost.fit import Vector, fit
from tflm_sparsesep.converters.cost.terms import sparse_terms, takes_the_last_again
from tflm_sparsesep.converters.targets import get_target

_DENSE_FILE = "dense_cmsis_nn.json"
_HELIUM_COLS = 16
_CONVOLUTION_COLS = 4


def dense_instructions(
    target: str, rows: int, cols: int, batch: int = 1, *, dtype: str = "int8", rank: int = 2
) -> int:
    """Return the instructions of a dense layer (nanoseconds on `host`) for `batch` input vectors.

    int8 is TFLM's operator on CMSIS-NN, exact for measured shapes. It runs an output of more than
    two dimensions (`rank`) as a 1x1 convolution if the inputs are a multiple of four. float32 is
    TFLM's reference kernel, scaled from one measured shape by the number of weights.
    """
    if target == "host":
        return host.dense_nanoseconds(rows, cols, batch, dtype)
    if dtype == "float32":
        measured: int = load(_DENSE_FILE)["fully_connected_float32_784_to_300"][target]
        return round(measured * (rows * cols * batch) / (784 * 300))
    if rank > 2 and cols % _CONVOLUTION_COLS == 0:
        return pointwise_conv.dense_instructions(target, rows, cols, batch)
    table = load(_DENSE_FILE)["fully_connected_s8"]
    if [cols, rows, batch] in table["shapes"]:
        return int(table["targets"][target][table["shapes"].index([cols, rows, batch])])
    return round(float(np.dot(_coefficients(target), _terms(target, cols, rows, batch))))


def sparse_instructions(
    target: str,
    layout: Layout,
    size: PackedSize,
    batch: int = 1,
    input_zeros: float = 0.0,
) -> int:
    """Return the instructions of the sparse kernel (nanoseconds on `host`) for a batch of vectors.

    `layout` is one that `is_measured`; `input_zeros` is the fraction of inputs that equal the
    zero_point.
    """
    if target == "host":
        return host.sparse_nanoseconds(layout, size, batch)
    kernel = _kernels(target)[str(layout)]
    terms = sparse_terms(
        layout,
        size,
        batch=batch,
        input_zeros=input_zeros,
        vectors_per_pass=kernel["vectors_per_pass"],
    )
    coefficients: dict[str, float] = kernel["instructions"]
    return round(sum(value * terms[name] for name, value in coefficients.items()))


def vectors_at_once(target: str, layout: Layout) -> int:
    """Return the vectors that the kernel of a layout multiplies at once, if fewer take as long."""
    vectors: int = _kernels(target).get(str(layout), {}).get("vectors_per_pass", 1)
    return vectors if takes_the_last_again(layout, vectors) else 1


def is_measured(target: str, layout: Layout) -> bool:
    """Return True if a kernel of `target` runs `layout` and its cost is known."""
    return host.is_measured(layout) if target == "host" else str(layout) in _kernels(target)


def _kernels(target: str) -> dict[str, dict[str, Any]]:
    kernels: dict[str, dict[str, Any]] = load("sparse_kernels.json")["targets"].get(target, {})
    return kernels


@functools.cache
def _coefficients(target: str) -> Vector:
    table = load(_DENSE_FILE)["fully_connected_s8"]
    terms = [_terms(target, *shape) for shape in table["shapes"]]
    return fit(terms, table["targets"][target])


def _terms(target: str, cols: int, rows: int, batch: int) -> list[float]:
    """Return the terms of the dense kernel: groups of rows, then one by one."""
    core = get_target(target)
    if core.has_mve:
        at_once, parts, has_entries = 4, [-(-cols // _HELIUM_COLS)], True
    elif core.has_dsp:
        at_once, parts, has_entries = 2, [cols // 4, cols % 4], False
    else:
        at_once, parts, has_entries = 3, [cols], False
    groups, rest = divmod(rows, at_once)
    return [
        *(batch * n * m for n in (groups, rest) for m in (*parts, 1)),
        *(batch * (n > 0) for n in (groups, rest) if has_entries),
        batch,
        1.0,
    ]
