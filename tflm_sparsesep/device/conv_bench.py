"""`bench-kernels --op conv2d`: every int8 kernel of a target, on random sparse convolutions."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from tflm_sparsesep.converters.blob.format import Layout
from tflm_sparsesep.converters.blob.pack_sparse_conv import ConvWindow, pack_conv
from tflm_sparsesep.converters.cost import sparse_conv
from tflm_sparsesep.converters.errors import ConfigError
from tflm_sparsesep.converters.op_names import SPARSE_CONV_2D
from tflm_sparsesep.device import emulation
from tflm_sparsesep.device.emulation import LayerRun
from tflm_sparsesep.device.kernel_bench import check_arguments, random_layer
from tflm_sparsesep.device.kernel_figures import (
    ConvFigures,
    common_figures,
    layout_names,
    select_layouts,
)
from tflm_sparsesep.device.layer_job import LayerJob

_SEED = 1


def bench_conv_kernels(
    target: str,
    window: ConvWindow,
    *,
    units: int,
    image: tuple[int, int],
    zeros: float,
    pattern: str | None = None,
) -> list[ConvFigures]:
    """Measure the kernel of every int8 layout on `target`, fastest first.

    Args:
        target: an emulated core.
        window: the geometry.
        units: output channels.
        image: height and width of the input.
        zeros: share of zero weights, in blocks of each layout's pattern.
        pattern: only layouts of this one, such as "4x4".

    Raises:
        ConfigError: an argument is not accepted.
        ToolMissingError: QEMU or the Arm compiler is missing.
    """
    check_arguments(target, rows=units, cols=window.cols, zeros=zeros)
    if 0 in window.output_shape((1, *image, window.channels), units):
        raise ConfigError(f"input {image[0]}x{image[1]} is smaller than the window")
    layouts = select_layouts(target, pattern, floats=False)
    cases = [
        random_layer(layout, units, window.cols, zeros=zeros, batch=1, input_zeros=0.0)
        for layout in layouts
    ]
    inputs = (1, *image, window.channels)
    pixels = np.random.default_rng(_SEED).integers(-128, 128, inputs).astype(np.int8)
    outputs = window.output_shape(inputs, units)
    jobs = [
        LayerJob(
            SPARSE_CONV_2D,
            b"",
            pack_conv(window, case.options, case.layer, layout),
            pixels[None],
            outputs,
        )
        for layout, case in zip(layouts, cases, strict=True)
    ]
    runs = emulation.run_layers(target, jobs)
    figures = [
        _figures(layout, window, case.layer.weights, job, run)
        for layout, case, job, run in zip(layouts, cases, jobs, runs, strict=True)
    ]
    return sorted(figures, key=lambda f: f.instructions)


def _figures(
    layout: Layout, window: ConvWindow, weights: npt.NDArray[Any], job: LayerJob, run: LayerRun
) -> ConvFigures:
    inputs, outputs = job.inputs.shape[1:], job.output_shape
    height, width = window.kernel
    units = outputs[3]
    return ConvFigures(
        **common_figures(
            run.target,
            run,
            layout_names(layout),
            weights,
            vectors=outputs[1] * outputs[2],
            blob_bytes=len(job.blob),
            dense_instructions=sparse_conv.dense_instructions(run.target, window, inputs, units),
        ),
        shape=f"{height}x{width}x{window.channels}x{units}",
        inputs=f"{inputs[1]}x{inputs[2]}",
        outputs=f"{outputs[1]}x{outputs[2]}",
    )
