"""Random separable convolutions of a given shape, for benchmarks and tests."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tflm_sparsesep.converters.blob.pack_separable import ConvStage, SeparableConv
from tflm_sparsesep.converters.blob.requantization import float_activation_range
from tflm_sparsesep.converters.blob.separable_format import Padding
from tflm_sparsesep.device.synthetic_layers import random_requantization


@dataclass(frozen=True)
class SeparableShape:
    """Sizes of a separable convolution and of the `batch` images that it runs on.

    Channels are those of input, intermediate feature map and output. Kernel, stride and padding are
    those of the vertical and of the horizontal stage.
    """

    height: int
    width: int
    channels: tuple[int, int, int]
    kernel: tuple[int, int]
    stride: tuple[int, int] = (1, 1)
    padding: tuple[Padding, Padding] = (Padding.SAME, Padding.SAME)
    batch: int = 1

    @property
    def input_shape(self) -> tuple[int, int, int, int]:
        """Batch, height, width, channels."""
        return (self.batch, self.height, self.width, self.channels[0])


def random_separable(
    rng: np.random.Generator, shape: SeparableShape, *, extreme: bool = False
) -> SeparableConv:
    """Draw an int8 convolution whose activations spread over int8.

    With `extreme`, weights are at their limits, and accumulators and left shifts wrap.
    """
    zero_points = [int(rng.integers(-128, 128)) for _ in range(3)]
    stages = [_random_stage(rng, shape, n, zero_points, extreme) for n in (0, 1)]
    return SeparableConv(*stages)


def random_float_separable(rng: np.random.Generator, shape: SeparableShape) -> SeparableConv:
    """Draw a float32 convolution with values around 0; every other one clamps at 0."""
    limits = float_activation_range("RELU" if rng.random() < 0.5 else "NONE")
    stages = []
    for n in (0, 1):
        channels, units = shape.channels[n], shape.channels[n + 1]
        stages.append(
            ConvStage(
                weights=rng.normal(0, 0.1, (units, shape.kernel[n], channels)).astype(np.float32),
                bias=rng.normal(0, 1, units).astype(np.float32),
                multiplier=np.zeros(0, np.int32),
                shift=np.zeros(0, np.int8),
                stride=shape.stride[n],
                padding=shape.padding[n],
                activation_min=limits[0],
                activation_max=limits[1],
            )
        )
    return SeparableConv(*stages)


def random_images(rng: np.random.Generator, shape: SeparableShape) -> npt.NDArray[np.int8]:
    """Draw int8[batch, height, width, channels]."""
    return rng.integers(-128, 128, shape.input_shape).astype(np.int8)


def _random_stage(
    rng: np.random.Generator, shape: SeparableShape, n: int, zero_points: list[int], extreme: bool
) -> ConvStage:
    channels, units, kernel = shape.channels[n], shape.channels[n + 1], shape.kernel[n]
    size = (units, kernel, channels)
    weights = rng.choice([-127, 127], size) if extreme else rng.integers(-127, 128, size)
    bound = 2**31 - 1 if extreme else 1 << 14
    multiplier, shift = random_requantization(rng, units, kernel * channels, extreme=extreme)
    return ConvStage(
        weights=weights.astype(np.int8),
        bias=rng.integers(-bound, bound, units).astype(np.int32),
        multiplier=multiplier,
        shift=shift,
        stride=shape.stride[n],
        padding=shape.padding[n],
        activation_min=int(rng.integers(-128, 0)) if rng.random() < 0.5 else -128,
        activation_max=int(rng.integers(1, 128)) if rng.random() < 0.25 else 127,
        input_zero_point=zero_points[n],
        output_zero_point=zero_points[n + 1],
    )
