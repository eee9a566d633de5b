"""`bench-kernels`: every kernel that runs on a target, on random layers of one shape."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from tflm_sparsesep.converters.blob.format import Layout, ValueType
from tflm_sparsesep.converters.blob.pack import FloatWeights, FullyConnectedWeights, pack
from tflm_sparsesep.converters.cost import fully_connected, pointwise_conv
from tflm_sparsesep.converters.errors import ConfigError
from tflm_sparsesep.converters.op_names import SPARSE_FULLY_CONNECTED
from tflm_sparsesep.converters.targets import get_target
from tflm_sparsesep.device import emulation, toolchain
from tflm_sparsesep.device.emulation import LayerRun
from tflm_sparsesep.device.kernel_figures import (
    MatrixFigures,
    common_figures,
    layout_names,
    select_layouts,
)
from tflm_sparsesep.device.layer_job import LayerJob
from tflm_sparsesep.device.synthetic_layers import LayerCase, random_case, random_float_case

_PALETTE = 16
_SEED = 0


def bench_kernels(
    target: str,
    *,
    rows: int,
    cols: int,
    zeros: float,
    pattern: str | None = None,
    batch: int = 1,
    input_zeros: float = 0.0,
) -> list[MatrixFigures]:
    """Measure every layout's kernel on `target`, an emulated core, fastest first.

    The zeros of the layer come in blocks of each layout's pattern; `pattern` selects layouts. A
    batch of more than one vector is compared with a dense 1x1 convolution. `input_zeros` is the
    fraction of inputs that equal the zero_point.

    Raises:
        ConfigError: an argument is not accepted.
        ToolMissingError: QEMU or the Arm compiler is missing.
    """
    check_arguments(target, rows=rows, cols=cols, zeros=zeros, batch=batch, input_zeros=input_zeros)
    layouts = select_layouts(target, pattern, floats=True)
    cases = [
        random_layer(layout, rows, cols, zeros=zeros, batch=batch, input_zeros=input_zeros)
        for layout in layouts
    ]
    jobs = [
        LayerJob(
            SPARSE_FULLY_CONNECTED,
            case.options.to_bytes(),
            pack(case.layer, layout),
            case.inputs[None],
            (batch, rows),
        )
        for layout, case in zip(layouts, cases, strict=True)
    ]
    runs = emulation.run_layers(target, jobs)
    figures = [
        _figures(layout, case, len(job.blob), run, input_zeros=input_zeros)
        for layout, case, job, run in zip(layouts, cases, jobs, runs, strict=True)
    ]
    return sorted(figures, key=lambda f: f.instructions)


def check_arguments(
    target: str,
    *,
    rows: int,
    cols: int,
    zeros: float,
    batch: int = 1,
    input_zeros: float = 0.0,
) -> None:
    """Raise ConfigError for arguments that no kernel can be measured with."""
    toolchain.board_of(get_target(target))
    for name, share in (("zeros", zeros), ("input zeros", input_zeros)):
        if not 0.0 <= share <= 1.0:
            raise ConfigError(f"{name} is {share}, accepted: a share between 0 and 1")
    if min(rows, cols, batch) < 1:
        raise ConfigError(f"shape {cols}x{rows}, batch {batch}: accepted: 1 and more")


def random_layer(
    layout: Layout, rows: int, cols: int, *, zeros: float, batch: int, input_zeros: float
) -> LayerCase[FullyConnectedWeights] | LayerCase[FloatWeights]:
    """Draw a layer whose zeros come in blocks of `layout`, of the type that it stores.

    Its activation limits are those of int8, so that layers of all shapes do the same work. The
    other arguments are those of `random_case`.
    """
    rng = np.random.default_rng(_SEED)
    block = (layout.block_rows, layout.block_cols)
    if layout.value_type is ValueType.FLOAT32:
        return random_float_case(
            rng, rows, cols, zeros=zeros, batch=batch, block=block, input_zeros=input_zeros
        )
    palette = _PALETTE if layout.value_type is ValueType.PALETTE4 else None
    case = random_case(
        rng,
        rows,
        cols,
        zeros=zeros,
        batch=batch,
        block=block,
        input_zeros=input_zeros,
        palette=palette,
    )
    options = dataclasses.replace(case.options, activation_min=-128, activation_max=127)
    return dataclasses.replace(case, options=options)


def _figures(
    layout: Layout, case: LayerCase[Any], blob_bytes: int, run: LayerRun, *, input_zeros: float
) -> MatrixFigures:
    target, (rows, cols) = run.target, case.layer.weights.shape
    batch = len(case.inputs)
    dtype = case.layer.weights.dtype.name
    if batch > 1 and dtype == "int8":
        dense = pointwise_conv.dense_instructions(target, rows, cols, batch)
    else:
        dense = fully_connected.dense_instructions(target, rows, cols, batch, dtype=dtype)
    return MatrixFigures(
        **common_figures(
            target,
            run,
            layout_names(layout),
            case.layer.weights,
            vectors=batch,
            blob_bytes=blob_bytes,
            dense_instructions=dense,
        ),
        rows=rows,
        cols=cols,
        batch=batch,
        input_zeros=input_zeros,
    )
