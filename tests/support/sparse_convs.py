"""Random convolutions for a layout, with what enters each window: cases for the kernels' oracle."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from tests.support.layers import layout_case
from tflm_sparsesep.converters.blob.format import Layout
from tflm_sparsesep.converters.blob.pack_sparse_conv import ConvWindow, pack_conv
from tflm_sparsesep.converters.blob.separable_format import Padding
from tflm_sparsesep.device.synthetic_layers import LayerCase


@dataclass(frozen=True)
class ConvCase:
    """A convolution.

    Attributes:
        window: its geometry.
        case: the matrix, its options, and all windows as inputs [windows, cols].
        images: [batch, height, width, channels].
    """

    window: ConvWindow
    case: LayerCase[Any]
    images: npt.NDArray[Any]

    @property
    def output_shape(self) -> tuple[int, int, int, int]:
        return self.window.output_shape(self.images.shape, len(self.case.layer.bias))

    def blob(self, layout: Layout) -> bytes:
        return pack_conv(self.window, self.case.options, self.case.layer, layout)


def random_window(rng: np.random.Generator, *, channels: int | None = None) -> ConvWindow:
    """Sizes of all kinds; dilated ones are rarer."""
    dilated = rng.random() < 0.3
    return ConvWindow(
        kernel=(int(rng.integers(1, 6)), int(rng.integers(1, 6))),
        channels=channels or int(rng.integers(1, 14)),
        strides=(int(rng.integers(1, 4)), int(rng.integers(1, 4))),
        dilations=(int(rng.integers(1, 4)), int(rng.integers(1, 4))) if dilated else (1, 1),
        padding=Padding(int(rng.integers(0, 2))),
    )


def random_conv(
    rng: np.random.Generator,
    layout: Layout,
    *,
    window: ConvWindow | None = None,
    units: int | None = None,
    size: tuple[int, int] | None = None,
    zeros: float | None = None,
    extreme: bool = False,
) -> ConvCase:
    """A convolution that `layout` can hold, on one or two images."""
    window = window or random_window(rng)
    reach = [(k - 1) * d + 1 for k, d in zip(window.kernel, window.dilations, strict=True)]
    if size is None:
        least = reach if window.padding is Padding.VALID else (1, 1)
        size = (least[0] + int(rng.integers(0, 8)), least[1] + int(rng.integers(0, 20)))
    case = layout_case(
        rng,
        layout,
        units or int(rng.integers(1, 24)),
        window.cols,
        zeros=float(rng.choice([0.0, 0.5, 0.9, 1.0])) if zeros is None else zeros,
        extreme=extreme,
    )
    shape = (int(rng.integers(1, 3)), *size, window.channels)
    if case.is_float:
        images: npt.NDArray[Any] = rng.normal(0, 1, shape).astype(np.float32)
    else:
        images = rng.integers(-128, 128, shape).astype(np.int8)
    inputs = windows_of(images, window, case.options.input_zero_point)
    return ConvCase(window, replace(case, inputs=inputs), images)


def windows_of(images: npt.NDArray[Any], window: ConvWindow, zero_point: int) -> npt.NDArray[Any]:
    """Every window [batch * pixels, cols], its columns in the order of the blob."""
    _, height, width, _ = window.output_shape(images.shape, 1)
    pads, starts = [(0, 0)], []
    for axis, out in ((0, height), (1, width)):
        size, dilation = images.shape[1 + axis], window.dilations[axis]
        reach = (window.kernel[axis] - 1) * dilation + 1
        missing = max(0, (out - 1) * window.strides[axis] + reach - size)
        before = missing // 2 if window.padding is Padding.SAME else 0
        pads.append((before, missing - before))
        starts.append(np.arange(out) * window.strides[axis])
    padded = np.pad(images, (*pads, (0, 0)), constant_values=zero_point)
    taps = [
        padded[:, y * window.dilations[0] + starts[0]][:, :, x * window.dilations[1] + starts[1]]
        for x in range(window.kernel[1])
        for y in range(window.kernel[0])
    ]
    return np.concatenate(taps, axis=3).reshape(-1, window.cols)
