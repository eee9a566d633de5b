"""Executed instructions of one layer on a target: dense (CMSIS-NN) against ours.

Dense figures are measured facts (`cost_data/dense_cmsis_nn.json`); shapes in between follow

    instructions = per_weight * rows * cols + per_row * rows + per_call

fitted to them by least squares of the relative error (below 0.8% on every measured shape).
Sparse kernels are sums of the terms in `sparse_terms`, with one set of coefficients for each target
and layout in `cost_data/sparse_kernels.json`; that file names the command that measures them
again, and how well they predict shapes outside the fit. On `host` only ratios matter: a dense
multiply-accumulate counts 1 and a stored block 3.
"""

from __future__ import annotations

import functools
import importlib.resources
import json
from dataclasses import dataclass
from typing import Any

import numpy as np

from tflm_sparsesep.converters.pack import group_counts, layout_of, read_header
from tflm_sparsesep.converters.packed_format import Layout, Major

_HOST_PER_WEIGHT = 1.0
_HOST_PER_BLOCK = 3.0


@functools.cache
def _data(name: str) -> dict[str, Any]:
    text = importlib.resources.files(__package__).joinpath("cost_data", name).read_text()
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
        return round(_HOST_PER_WEIGHT * rows * cols * batch)
    if dtype == "float32":
        measured: int = _data("dense_cmsis_nn.json")["fully_connected_float32_784_to_300"][target]
        return round(measured * (rows * cols * batch) / (784 * 300))
    table = _data("dense_cmsis_nn.json")["fully_connected_s8"]
    if batch == 1 and [cols, rows] in table["shapes_cols_rows"]:
        return int(table[target][table["shapes_cols_rows"].index([cols, rows])])
    per_weight, per_row, per_call = _dense_coefficients(target)
    return round(batch * (per_weight * rows * cols + per_row * rows) + per_call)


def dense_pointwise_conv(target: str, rows: int, cols: int, pixels: int) -> int:
    """Instructions of CMSIS-NN's int8 1x1 convolution over `pixels`.

    Scaled from the one measured shape by the number of multiplications.
    """
    if target == "host":
        return round(_HOST_PER_WEIGHT * rows * cols * pixels)
    measured: int = _data("dense_cmsis_nn.json")["convolve_1x1_s8_12x12_64_to_64"][target]
    return round(measured * (rows * cols * pixels) / (64 * 64 * 144))


def _kernels(target: str) -> dict[str, dict[str, float]]:
    kernels: dict[str, dict[str, float]] = _data("sparse_kernels.json")["targets"].get(target, {})
    return kernels


def is_measured(target: str, layout: Layout) -> bool:
    """Whether a kernel of the target runs the layout, and its cost is known."""
    return target == "host" or str(layout) in _kernels(target)


@dataclass(frozen=True)
class PackedSize:
    """What of a blob drives its cost.

    rows and cols are units; `groups` those that store a block at all; `blocks` are stored ones;
    `runs` the steps that vector kernels take, 16 columns of one group at a time; `index_bytes`
    the index stream, and those not 0 in it.
    """

    rows: int
    cols: int
    groups: int
    blocks: int
    runs: int
    index_bytes: int
    nonzero_index_bytes: int

    @classmethod
    def of(cls, blob: bytes) -> PackedSize:
        """The size of a valid blob."""
        header = read_header(blob)
        layout = layout_of(header)
        counts = group_counts(blob)
        start, end = int(header["index_offset"]), int(header["value_offset"])
        index = np.frombuffer(blob, np.uint8, end - start, start)
        return cls(
            rows=int(header["rows"]),
            cols=int(header["cols"]),
            groups=int(np.count_nonzero(counts)),
            blocks=int(header["blocks"]),
            runs=int(np.sum(-(-counts // layout.run_blocks))),
            index_bytes=len(index),
            nonzero_index_bytes=int(np.count_nonzero(index)),
        )


def sparse_terms(
    layout: Layout, size: PackedSize, *, batch: int = 1, input_zeros: float = 0.0
) -> dict[str, float]:
    """What a kernel's instructions are made of, by the name of the coefficient.

    Column-major kernels pass over the share `input_zeros` of inputs
    that equal the zero point, and over their blocks; the others do not look.
    """
    active = 1.0 - input_zeros**layout.block_cols if layout.major is Major.COLUMN else 1.0
    return {
        "per_call": 1.0,
        # Decoding: once for all vectors of a batch where a kernel does so.
        "per_block": size.blocks,
        "per_block_and_vector": size.blocks * active * batch,
        "per_group_and_vector": size.groups * active * batch,
        "per_run_and_vector": size.runs * active * batch,
        "per_index_byte_and_vector": size.index_bytes * active * batch,
        "per_nonzero_index_byte_and_vector": size.nonzero_index_bytes * active * batch,
        "per_row_and_vector": size.rows * batch,
        "per_col_and_vector": size.cols * batch,
        "per_active_col_and_vector": size.cols * active * batch,
    }


def sparse_fully_connected(
    target: str,
    layout: Layout,
    size: PackedSize,
    batch: int = 1,
    input_zeros: float = 0.0,
) -> int:
    """Instructions of our kernel for a blob of `size` in `layout`.

    `layout` is one that `is_measured` on the target; the rest is as for `sparse_terms`.
    """
    if target == "host":
        return round(_HOST_PER_BLOCK * size.blocks * batch)
    coefficients = _kernels(target)[str(layout)]
    terms = sparse_terms(layout, size, batch=batch, input_zeros=input_zeros)
    return round(sum(coefficients[name] * term for name, term in terms.items()))
