"""`bench-kernels --op depthwise` and `--op separable-block`: kernels on random layers."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tflm_sparsesep.converters.blob.format import Layout
from tflm_sparsesep.converters.blob.pack import FullyConnectedWeights
from tflm_sparsesep.converters.blob.pack_depthwise import (
    DepthwiseLayer,
    Pointwise,
    pack_block,
    pack_depthwise,
)
from tflm_sparsesep.converters.blob.pack_sparse_conv import ConvWindow
from tflm_sparsesep.converters.cost import depthwise_conv, pointwise_conv
from tflm_sparsesep.converters.errors import ConfigError
from tflm_sparsesep.converters.layers.depthwise import run_of
from tflm_sparsesep.converters.op_names import SEPARABLE_CONV_2D
from tflm_sparsesep.device import emulation
from tflm_sparsesep.device.kernel_bench import check_arguments, random_layer
from tflm_sparsesep.device.kernel_figures import (
    ConvFigures,
    common_figures,
    layout_names,
    select_layouts,
)
from tflm_sparsesep.device.synthetic_depthwise import random_depthwise

Array = npt.NDArray[Any]

_SEED = 1


@dataclass(frozen=True)
class _Bench:
    """A depthwise convolution on an image, on a core."""

    target: str
    layer: DepthwiseLayer
    image: tuple[int, int]

    @property
    def inputs(self) -> tuple[int, int, int, int]:
        """Batch, height, width, channels."""
        return (1, *self.image, self.layer.window.channels)

    def dense_instructions(self, units: int | None) -> int:
        """Return the instructions of CMSIS-NN, `units` being those of a pointwise layer."""
        shape = run_of(self.layer, self.inputs).shape
        dense = depthwise_conv.dense_instructions(self.target, shape)
        if units is None:
            return dense
        pixels = math.prod(shape.output)
        return dense + pointwise_conv.dense_instructions(
            self.target, units, self.layer.units, pixels
        )

    def measure(
        self, blob: bytes, weights: Array, layout: Layout | None = None, *, units: int | None = None
    ) -> ConvFigures:
        """Count the instructions of a blob.

        Args:
            blob: of the layer, or of a block.
            weights: whose zeros are reported: the pointwise ones of a block.
            layout, units: of the pointwise layer of a block.
        """
        pixels = np.random.default_rng(_SEED).integers(-128, 128, self.inputs).astype(np.int8)
        outputs = (*self.layer.output_shape(self.inputs)[:3], units or self.layer.units)
        run = emulation.run_layer(self.target, SEPARABLE_CONV_2D, b"", blob, pixels[None], outputs)
        taps = "x".join(map(str, self.layer.window.kernel))
        shape = f"{taps}x{self.layer.window.channels}"
        names = {"pattern": taps, "index": "depthwise", "value": "int8"}
        figures = ConvFigures(
            **common_figures(
                self.target,
                run,
                names if layout is None else layout_names(layout),
                weights,
                vectors=outputs[1] * outputs[2],
                blob_bytes=len(blob),
                dense_instructions=self.dense_instructions(units),
            ),
            shape=shape if units is None else f"{shape}x{units}",
            inputs="x".join(map(str, self.image)),
            outputs=f"{outputs[1]}x{outputs[2]}",
        )
        if layout is None:
            return figures
        return dataclasses.replace(figures, variant=f"{run.kernel} + {layout}")


def bench_depthwise(
    target: str, window: ConvWindow, *, image: tuple[int, int]
) -> list[ConvFigures]:
    """Measure the kernel that runs an int8 depthwise convolution on `target`.

    Args:
        target: an emulated core.
        window: the geometry.
        image: height and width of the input.

    Raises:
        ConfigError: an argument is not accepted.
        ToolMissingError: QEMU or the Arm compiler is missing.
    """
    bench = _bench(target, window, image)
    return [bench.measure(pack_depthwise(bench.layer), bench.layer.weights.weights)]


def bench_blocks(
    target: str,
    window: ConvWindow,
    *,
    units: int,
    image: tuple[int, int],
    zeros: float,
    pattern: str | None = None,
) -> list[ConvFigures]:
    """Measure a depthwise and a pointwise convolution as one operator, fastest first.

    Args:
        target: an emulated core.
        window: the geometry of the depthwise convolution.
        units: output channels of the pointwise one.
        image: height and width of the input.
        zeros: share of zero pointwise weights, in blocks of each layout's pattern.
        pattern: only layouts of this one, such as "4x4".

    Raises:
        ConfigError: an argument is not accepted.
        ToolMissingError: QEMU or the Arm compiler is missing.
    """
    check_arguments(target, rows=units, cols=window.channels, zeros=zeros)
    bench = _bench(target, window, image)
    figures = [
        _measure_block(bench, layout, units, zeros)
        for layout in select_layouts(target, pattern, floats=False)
    ]
    return sorted(figures, key=lambda f: f.instructions)


def _bench(target: str, window: ConvWindow, image: tuple[int, int]) -> _Bench:
    """Draw a layer. Its limits are those of int8, so that layers of all shapes do the same work."""
    check_arguments(target, rows=window.channels, cols=math.prod(window.kernel), zeros=0.0)
    drawn = random_depthwise(np.random.default_rng(_SEED), window)
    options = dataclasses.replace(drawn.options, activation_min=-128, activation_max=127)
    bench = _Bench(target, dataclasses.replace(drawn, options=options), image)
    if 0 in bench.layer.output_shape(bench.inputs):
        raise ConfigError(f"input {image[0]}x{image[1]} is smaller than the window")
    return bench


def _measure_block(bench: _Bench, layout: Layout, units: int, zeros: float) -> ConvFigures:
    channels, zero_point = bench.layer.units, bench.layer.options.output_zero_point
    case = random_layer(layout, units, channels, zeros=zeros, batch=1, input_zeros=0.0)
    assert isinstance(case.layer, FullyConnectedWeights)  # layouts of int8 only
    pointwise = Pointwise(
        dataclasses.replace(case.layer, input_zero_point=zero_point),
        dataclasses.replace(case.options, input_zero_point=zero_point),
        layout,
    )
    blob = pack_block(bench.layer, pointwise)
    return bench.measure(blob, case.layer.weights, layout, units=units)
