"""What TFLite's reference makes of a separable convolution: the kernels' oracle."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from tflm_sparsesep.converters.blob.pack_separable import ConvStage, SeparableConv
from tflm_sparsesep.converters.blob.separable_format import Padding
from tflm_sparsesep.device.synthetic_separable import SeparableShape


def reference(
    conv: SeparableConv, images: npt.NDArray[np.int8], *, rounding: str = "double"
) -> npt.NDArray[np.int8]:
    """Outputs int8[batch, height, width, channels] in plain int64, stage after stage."""
    middle = _stage(conv.vertical, images, rounding)
    columns_first = _stage(conv.horizontal, middle.transpose(0, 2, 1, 3), rounding)
    return columns_first.transpose(0, 2, 1, 3)


def check_floats(
    conv: SeparableConv, images: npt.NDArray[np.float32], outputs: npt.NDArray[Any]
) -> None:
    """Asserts that float outputs are right up to rounding.

    A stage of n products sums with an error of at most (n + 1) * eps * magnitude, magnitude being
    the sum of the absolute terms, whatever the order; the horizontal stage passes the error of its
    inputs on through its absolute weights. A factor of 2 covers the higher orders.
    """
    eps = np.finfo(np.float32).eps
    middle, middle_error = _float_stage(conv.vertical, images, 0 * np.abs(images))
    turned = [array.transpose(0, 2, 1, 3) for array in (middle, middle_error)]
    exact, error = _float_stage(conv.horizontal, *turned)
    assert outputs.dtype == np.float32
    difference = np.abs(outputs - exact.transpose(0, 2, 1, 3))
    assert np.all(difference <= 2 * eps * error.transpose(0, 2, 1, 3))


def random_shape(rng: np.random.Generator, *, channels: int = 11, size: int = 9) -> SeparableShape:
    """Sizes of all kinds: 1, remainders of every tile, kernels wider than the image."""
    kernel = (int(rng.integers(1, 6)), int(rng.integers(1, 6)))
    padding = (Padding(int(rng.integers(0, 2))), Padding(int(rng.integers(0, 2))))
    height, width = (
        int(rng.integers(1 if pad is Padding.SAME else taps, size + taps))
        for pad, taps in zip(padding, kernel, strict=True)
    )
    return SeparableShape(
        height=height,
        width=width,
        channels=(
            int(rng.integers(1, channels)),
            int(rng.integers(1, channels)),
            int(rng.integers(1, channels)),
        ),
        kernel=kernel,
        stride=(int(rng.integers(1, 4)), int(rng.integers(1, 4))),
        padding=padding,
        batch=int(rng.integers(1, 3)),
    )


def _windows(stage: ConvStage, images: npt.NDArray[Any], fill: int) -> npt.NDArray[Any]:
    """Taps [batch, outputs, width, kernel, channels] along the second axis of `images`."""
    kernel, size = stage.weights.shape[1], images.shape[1]
    outputs = stage.output_size(size)
    missing = 0
    if stage.padding is Padding.SAME:
        missing = max(0, (outputs - 1) * stage.stride + kernel - size)
    before = missing // 2
    padded = np.pad(
        images, ((0, 0), (before, missing - before), (0, 0), (0, 0)), constant_values=fill
    )
    rows = [
        np.stack([padded[:, y * stage.stride + tap] for tap in range(kernel)], axis=2)
        for y in range(outputs)
    ]
    return np.stack(rows, axis=1)


def _stage(stage: ConvStage, images: npt.NDArray[np.int8], rounding: str) -> npt.NDArray[np.int8]:
    """The convolution along the second axis; accumulator and left shift wrap to 32 bits."""
    taps = _windows(stage, images.astype(np.int64), stage.input_zero_point)
    centred = taps - stage.input_zero_point
    weights = stage.weights.astype(np.int64)
    acc = (np.einsum("byxtc,utc->byxu", centred, weights) + stage.bias).astype(np.int32)
    rescale = _round_twice if rounding == "double" else _round_once
    outputs = (rescale(stage, acc.astype(np.int64)) + stage.output_zero_point).astype(np.int32)
    return np.clip(outputs, stage.activation_min, stage.activation_max).astype(np.int8)


def _round_once(stage: ConvStage, acc: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    total = 31 - stage.shift.astype(np.int64)
    return (acc * stage.multiplier + (np.int64(1) << (total - 1))) >> total


def _round_twice(stage: ConvStage, acc: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    left = np.maximum(stage.shift, 0).astype(np.int64)
    right = np.maximum(-stage.shift.astype(np.int64), 0)
    shifted = (acc << left).astype(np.int32).astype(np.int64)
    high = (shifted * stage.multiplier + (1 << 30)) >> 31
    mask = (np.int64(1) << right) - 1
    return (high >> right) + ((high & mask) > (mask >> 1) + (high < 0))


def _float_stage(
    stage: ConvStage, images: npt.NDArray[Any], error: npt.NDArray[Any]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Exact outputs, and the bound of their error in units of eps."""
    weights = stage.weights.astype(np.float64)
    taps = _windows(stage, images.astype(np.float64), 0)
    exact = np.einsum("byxtc,utc->byxu", taps, weights) + stage.bias
    magnitude = np.einsum("byxtc,utc->byxu", np.abs(taps), np.abs(weights)) + np.abs(stage.bias)
    inherited = np.einsum("byxtc,utc->byxu", _windows(stage, error, 0), np.abs(weights))
    limits = np.array([stage.activation_min, stage.activation_max], np.int32).view(np.float32)
    # Clipping brings neighbours no further apart.
    return np.clip(exact, *limits), (weights[0].size + 1) * magnitude + inherited
