"""`bench-kernels --op depthwise`: the kernel of a target on a random depthwise convolution."""

from __future__ import annotations

import dataclasses
import math

import numpy as np

from tflm_sparsesep.converters.blob.pack_depthwise import pack_depthwise
from tflm_sparsesep.converters.blob.pack_sparse_conv import ConvWindow
from tflm_sparsesep.converters.cost import depthwise_conv
from tflm_sparsesep.converters.errors import ConfigError
from tflm_sparsesep.converters.layers.depthwise import run_of
from tflm_sparsesep.converters.op_names import SEPARABLE_CONV_2D
from tflm_sparsesep.device import emulation
from tflm_sparsesep.device.kernel_bench import check_arguments
from tflm_sparsesep.device.kernel_figures import ConvFigures, common_figures
from tflm_sparsesep.device.synthetic_depthwise import random_depthwise

_SEED = 1


def bench_depthwise(
    target: str, window: ConvWindow, *, image: tuple[int, int]
) -> list[ConvFigures]:
    """Measure the kernel that runs an int8 depthwise convolution on `target`.

    Activation limits are those of int8, so that layers of all shapes do the same work.

    Args:
        target: an emulated core.
        window: the geometry.
        image: height and width of the input.

    Raises:
        ConfigError: an argument is not accepted.
        ToolMissingError: QEMU or the Arm compiler is missing.
    """
    inputs = (1, *image, window.channels)
    check_arguments(target, rows=window.channels, cols=math.prod(window.kernel), zeros=0.0)
    rng = np.random.default_rng(_SEED)
    drawn = random_depthwise(rng, window)
    options = dataclasses.replace(drawn.options, activation_min=-128, activation_max=127)
    layer = dataclasses.replace(drawn, options=options)
    outputs = layer.output_shape(inputs)
    if 0 in outputs:
        raise ConfigError(f"input {image[0]}x{image[1]} is smaller than the window")
    pixels, blob = rng.integers(-128, 128, inputs).astype(np.int8), pack_depthwise(layer)
    run = emulation.run_layer(target, SEPARABLE_CONV_2D, b"", blob, pixels[None], outputs)
    pattern = "x".join(map(str, window.kernel))
    figures = ConvFigures(
        **common_figures(
            target,
            run,
            {"pattern": pattern, "index": "depthwise", "value": "int8"},
            layer.weights.weights,
            vectors=outputs[1] * outputs[2],
            blob_bytes=len(blob),
            dense_instructions=depthwise_conv.dense_instructions(
                target, run_of(layer, inputs).shape
            ),
        ),
        shape=f"{pattern}x{window.channels}",
        inputs=f"{image[0]}x{image[1]}",
        outputs=f"{outputs[1]}x{outputs[2]}",
    )
    return [figures]
