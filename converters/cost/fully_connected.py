"""Executed instructions of one layer on a target: dense (CMSIS-NN) against ours.

Dense figures are measured facts (`data/dense_cmsis_nn.json`); shapes in between follow

    instructions = per_weight * rows * cols + per_row * rows + per_call

fitted to them by least squares of the relative error (below 0.8% on every measured shape).
Sparse kernels are sums of the terms in `cost_terms`, with one set of coefficients for each target
and layout in `data/sparse_kernels.json`; that file names the command that measures them
again, and how well they predict shapes outside the fit. They hold for activation limits of int8,
which is what a RELU has whose output range begins at 0; narrower ones cost the DSP extension two
instructions a row, and Armv7-M four where it takes several vectors.

On `host`, costs are nanoseconds in LiteRT instead: see `host_cost`.
"""

from __future__ import annotations

import functools
import importlib.resources
import json
from typing import Any

import numpy as np

from tflm_sparsesep.converters.blob.format import Layout
from tflm_sparsesep.converters.blob.size import PackedSize
from tflm_sparsesep.converters.cost import host as host_cost
from tflm_sparsesep.converters.cost import pointwise_conv
from tflm_sparsesep.converters.cost.terms import sparse_terms

__all__ = [
    "dense_fully_connected",
    "dense_pointwise_conv",
    "held_out_errors",
    "is_measured",
    "sparse_fully_connected",
]


@functools.cache
def _data(name: str) -> dict[str, Any]:
    text = importlib.resources.files(__package__).joinpath("data", name).read_text()
    data: dict[str, Any] = json.loads(text)
    return data


@functools.cache
def _dense_coefficients(target: str) -> tuple[float, float, float]:
    table = _data("dense_cmsis_nn.json")["fully_connected_s8"]
    shapes = np.array(table["shapes_cols_rows"], np.float64)
    counts = np.array(table[target], np.float64)
    cols, rows = shapes.T
    terms = np.stack([rows * cols, rows, np.ones_like(rows)], axis=1)
    solution, *_ = np.linalg.lstsq(terms / counts[:, None], np.ones_like(counts), rcond=None)
    per_weight, per_row, per_call = (float(value) for value in solution)
    return per_weight, per_row, per_call


def dense_fully_connected(
    target: str, rows: int, cols: int, batch: int = 1, *, dtype: str = "int8"
) -> int:
    """Instructions of a dense fully-connected layer; exact where it was measured.

    int8 is CMSIS-NN's kernel. float32 is TFLM's reference kernel, scaled from one measured
    shape by the number of weights. `target` is a name of `targets.TARGETS`.
    """
    if target == "host":
        return host_cost.dense_fully_connected(rows, cols, batch, dtype)
    if dtype == "float32":
        measured: int = _data("dense_cmsis_nn.json")["fully_connected_float32_784_to_300"][target]
        return round(measured * (rows * cols * batch) / (784 * 300))
    table = _data("dense_cmsis_nn.json")["fully_connected_s8"]
    if batch == 1 and [cols, rows] in table["shapes_cols_rows"]:
        return int(table[target][table["shapes_cols_rows"].index([cols, rows])])
    per_weight, per_row, per_call = _dense_coefficients(target)
    return round(batch * (per_weight * rows * cols + per_row * rows) + per_call)


def dense_pointwise_conv(target: str, rows: int, cols: int, pixels: int) -> int:
    """Instructions of CMSIS-NN's int8 1x1 convolution over `pixels` (`pointwise_cost`)."""
    if target == "host":
        return host_cost.dense_fully_connected(rows, cols, pixels, "int8")
    return pointwise_conv.pointwise_conv(target, rows, cols, pixels)


def _kernels(target: str) -> dict[str, dict[str, Any]]:
    kernels: dict[str, dict[str, Any]] = _data("sparse_kernels.json")["targets"].get(target, {})
    return kernels


def is_measured(target: str, layout: Layout) -> bool:
    """Whether a kernel of the target runs the layout, and its cost is known."""
    return host_cost.is_measured(layout) if target == "host" else str(layout) in _kernels(target)


def held_out_errors(target: str) -> dict[str, float]:
    """By layout, the largest relative error of the model on layers that it was not fitted to."""
    return {name: float(kernel["held_out_error"]) for name, kernel in _kernels(target).items()}


def sparse_fully_connected(
    target: str,
    layout: Layout,
    size: PackedSize,
    batch: int = 1,
    input_zeros: float = 0.0,
) -> int:
    """Instructions of our kernel for a blob of `size` in `layout`.

    `layout` is one that `is_measured` on the target; the rest is as for `cost_terms.sparse_terms`.
    """
    if target == "host":
        return host_cost.sparse_fully_connected(layout, size, batch)
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
