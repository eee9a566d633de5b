"""`bench-kernels --op conv2d`: every int8 kernel of a target, on random sparse convolutions."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np

from tflm_sparsesep.converters.blob.format import Layout, ValueType
from tflm_sparsesep.converters.blob.layouts import layouts_for
from tflm_sparsesep.converters.blob.pack_sparse_conv import ConvWindow, pack_conv
from tflm_sparsesep.converters.cost import cycles, sparse_conv
from tflm_sparsesep.converters.errors import ConfigError
from tflm_sparsesep.converters.op_names import SPARSE_CONV_2D
from tflm_sparsesep.device import emulation
from tflm_sparsesep.device.kernel_bench import check_arguments, random_layer

_SEED = 1


@dataclass(frozen=True)
class ConvKernelFigures:
    """One kernel on one random convolution.

    Attributes:
        variant: the kernel.
        pattern, index, value: of its layout.
        shape: taps x taps x input channels x output channels.
        inputs, outputs: height x width.
        zeros: share of zero weights.
        blob_bytes: all that the layer takes in flash.
        instructions: executed per inference; gathering and requantization are included.
        instructions_per_nonzero: and output pixel.
        dense_instructions: of CMSIS-NN, as the cost model says.
        estimated_cycles: of a model, not measured.
        scratch_bytes: of the arena, during the layer.
        code_bytes: of the kernel alone.
    """

    variant: str
    pattern: str
    index: str
    value: str
    target: str
    shape: str
    inputs: str
    outputs: str
    zeros: float
    nonzeros: int
    blob_bytes: int
    bytes_per_nonzero: float
    instructions: int
    instructions_per_nonzero: float
    dense_instructions: int
    speedup: float
    estimated_cycles: int
    scratch_bytes: int
    code_bytes: int
    flags: str

    def to_json(self) -> dict[str, Any]:
        """Return the fields as plain values."""
        return dataclasses.asdict(self)


def bench_conv_kernels(
    target: str,
    window: ConvWindow,
    *,
    units: int,
    image: tuple[int, int],
    zeros: float,
    pattern: str | None = None,
) -> list[ConvKernelFigures]:
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
    layouts = layouts_of(target, pattern)
    figures = [_measure(target, layout, window, units, image, zeros) for layout in layouts]
    return sorted(figures, key=lambda f: f.instructions)


def layouts_of(target: str, pattern: str | None) -> list[Layout]:
    """Return the int8 layouts of a target, of one pattern or of all.

    Raises ConfigError if there is none of the pattern.
    """
    available = [x for x in layouts_for(target) if x.value_type is not ValueType.FLOAT32]
    layouts = [layout for layout in available if pattern in (None, layout.pattern)]
    if not layouts:
        accepted = ", ".join(dict.fromkeys(layout.pattern for layout in available))
        raise ConfigError(f"pattern {pattern!r} is unknown; accepted: {accepted}")
    return layouts


def _measure(
    target: str,
    layout: Layout,
    window: ConvWindow,
    units: int,
    image: tuple[int, int],
    zeros: float,
) -> ConvKernelFigures:
    case = random_layer(layout, units, window.cols, zeros=zeros, batch=1, input_zeros=0.0)
    inputs = (1, *image, window.channels)
    outputs = window.output_shape(inputs, units)
    pixels = np.random.default_rng(_SEED).integers(-128, 128, inputs).astype(np.int8)
    blob = pack_conv(window, case.options, case.layer, layout)
    run = emulation.run_layer(target, SPARSE_CONV_2D, b"", blob, pixels[None], outputs)
    dense = sparse_conv.dense_instructions(target, window, inputs, units)
    nonzeros, instructions = int(np.count_nonzero(case.layer.weights)), run.instructions[0]
    height, width = window.kernel
    return ConvKernelFigures(
        variant=run.kernel,
        pattern=layout.pattern,
        index=layout.index,
        value=layout.value_type.name.lower(),
        target=target,
        shape=f"{height}x{width}x{window.channels}x{units}",
        inputs=f"{image[0]}x{image[1]}",
        outputs=f"{outputs[1]}x{outputs[2]}",
        zeros=round(1.0 - nonzeros / (units * window.cols), 4),
        nonzeros=nonzeros,
        blob_bytes=len(blob),
        bytes_per_nonzero=round(len(blob) / max(nonzeros, 1), 3),
        instructions=instructions,
        instructions_per_nonzero=round(
            instructions / max(nonzeros * outputs[1] * outputs[2], 1), 3
        ),
        dense_instructions=dense,
        speedup=round(dense / instructions, 3),
        estimated_cycles=cycles.estimate_cycles(target, run.classes),
        scratch_bytes=run.scratch_bytes,
        code_bytes=run.kernel_code_bytes,
        flags=run.flags,
    )
