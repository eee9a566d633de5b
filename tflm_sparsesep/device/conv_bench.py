"""`bench-kernels --op conv2d`: every int8 kernel of a target, on random sparse convolutions."""

from __future__ import annotations

import numpy as np

from tflm_sparsesep.converters.blob.format import Layout
from tflm_sparsesep.converters.blob.pack_sparse_conv import ConvWindow, pack_conv
from tflm_sparsesep.converters.cost import sparse_conv
from tflm_sparsesep.converters.errors import ConfigError
from tflm_sparsesep.converters.op_names import SPARSE_CONV_2D
from tflm_sparsesep.device import emulation
from tflm_sparsesep.device.kernel_bench import check_arguments, random_layer
from tflm_sparsesep.device.kernel_figures import (
    ConvFigures,
    common_figures,
    layout_names,
    select_layouts,
)

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
    figures = [_measure(target, layout, window, units, image, zeros) for layout in layouts]
    return sorted(figures, key=lambda f: f.instructions)


def _measure(
    target: str,
    layout: Layout,
    window: ConvWindow,
    units: int,
    image: tuple[int, int],
    zeros: float,
) -> ConvFigures:
    case = random_layer(layout, units, window.cols, zeros=zeros, batch=1, input_zeros=0.0)
    inputs = (1, *image, window.channels)
    outputs = window.output_shape(inputs, units)
    pixels = np.random.default_rng(_SEED).integers(-128, 128, inputs).astype(np.int8)
    blob = pack_conv(window, case.options, case.layer, layout)
    run = emulation.run_layer(target, SPARSE_CONV_2D, b"", blob, pixels[None], outputs)
    height, width = window.kernel
    return ConvFigures(
        **common_figures(
            target,
            run,
            layout_names(layout),
            case.layer.weights,
            vectors=outputs[1] * outputs[2],
            blob_bytes=len(blob),
            dense_instructions=sparse_conv.dense_instructions(target, window, inputs, units),
        ),
        shape=f"{height}x{width}x{window.channels}x{units}",
        inputs=f"{image[0]}x{image[1]}",
        outputs=f"{outputs[1]}x{outputs[2]}",
    )
