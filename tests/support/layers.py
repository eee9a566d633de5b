"""Random layers for a layout, and what TFLite's reference makes of them: the kernels' oracle."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from tflm_sparsesep.converters.blob.format import FullyConnectedOptions, Layout, ValueType
from tflm_sparsesep.converters.blob.pack import FloatWeights, can_pack
from tflm_sparsesep.device.synthetic_layers import LayerCase, random_case


def layout_case(
    rng: np.random.Generator,
    layout: Layout,
    rows: int,
    cols: int,
    *,
    zeros: float,
    batch: int = 1,
    input_zeros: float = 0.0,
    extreme: bool = False,
) -> LayerCase[Any]:
    """A random layer that `layout` can hold, with zeros in its blocks (see `random_case`)."""
    case = random_case(
        rng,
        rows,
        cols,
        zeros=zeros,
        batch=batch,
        block=(layout.block_rows, layout.block_cols),
        input_zeros=input_zeros,
        palette=16 if layout.value_type is ValueType.PALETTE4 else None,
        extreme=extreme,
    )
    if layout.value_type is not ValueType.FLOAT32:
        if not can_pack(case.layer, layout):
            case.layer.weights[:] //= 2
        return case
    limits = np.array([-1.0, np.inf] if rng.random() < 0.5 else [-np.inf, np.inf], np.float32)
    bits = limits.view(np.int32).tolist()
    return LayerCase(
        layer=FloatWeights(
            weights=case.layer.weights.astype(np.float32)
            * rng.normal(0, 0.01, (rows, cols)).astype(np.float32),
            bias=rng.normal(0, 1, rows).astype(np.float32),
        ),
        options=FullyConnectedOptions(0, 0, *bits),
        inputs=rng.normal(0, 1, (batch, cols)).astype(np.float32),
    )


@dataclass(frozen=True)
class Windows:
    """A convolution along one axis: units, taps, channels, stride, outputs, elements behind."""

    rows: int
    taps: int
    channels: int
    stride: int
    count: int
    rest: int = 0

    @property
    def cols(self) -> int:
        """Weights of a unit."""
        return self.taps * self.channels

    @property
    def step(self) -> int:
        """Elements from one window to the next."""
        return self.stride * self.channels

    @property
    def elements(self) -> int:
        """Of the input."""
        return (self.count - 1) * self.step + self.cols + self.rest


def windows_case(
    rng: np.random.Generator, layout: Layout, windows: Windows, *, zeros: float
) -> tuple[LayerCase[Any], npt.NDArray[Any]]:
    """A layer whose inputs are windows, by its options, and the line that they lie in."""
    case = layout_case(rng, layout, windows.rows, windows.cols, zeros=zeros)
    line = layout_case(rng, layout, 1, windows.elements, zeros=0.0).inputs[0]
    every = np.lib.stride_tricks.sliding_window_view(line, windows.cols)
    inputs = every[:: windows.step][: windows.count]
    options = replace(case.options, input_step=windows.step)
    return replace(case, inputs=inputs, options=options), line


def check_outputs(case: LayerCase[Any], outputs: npt.NDArray[Any]) -> None:
    """Asserts that `outputs` [batch, rows] are right: int8 to the bit, floats up to rounding."""
    if case.is_float:
        _check_floats(case, outputs)
    else:
        np.testing.assert_array_equal(outputs, reference(case))


def reference(case: LayerCase[Any]) -> npt.NDArray[np.int8]:
    """Outputs int8[batch, rows] as TFLite's reference kernel defines them, in plain int64.

    Accumulator and left shift wrap to 32 bits, as they do on every target.
    """
    layer, options = case.layer, case.options
    centered = case.inputs.astype(np.int64) - layer.input_zero_point
    wide = centered @ layer.weights.T.astype(np.int64) + layer.bias
    acc: npt.NDArray[np.int32] = wide.astype(np.int32)
    left = np.maximum(layer.shift, 0).astype(np.int64)
    right = np.maximum(-layer.shift.astype(np.int64), 0)
    shifted = (acc.astype(np.int64) << left).astype(np.int32).astype(np.int64)
    high = (shifted * layer.multiplier + (1 << 30)) >> 31
    mask = (np.int64(1) << right) - 1
    rounded = (high >> right) + ((high & mask) > (mask >> 1) + (high < 0))
    outputs: npt.NDArray[np.int32] = (rounded + options.output_zero_point).astype(np.int32)
    return np.clip(outputs, options.activation_min, options.activation_max).astype(np.int8)


def _check_floats(case: LayerCase[Any], outputs: npt.NDArray[Any]) -> None:
    """The order of summation is the kernel's own, and so is whether it fuses.

    Each of the n products and n sums of a row (bias included) rounds by at most eps / 2 of a
    value that is at most the sum of magnitudes: n * eps * magnitude bounds the error to first
    order, whatever the order; a factor of 2 covers the higher orders.
    """
    weights = case.layer.weights.astype(np.float64)
    inputs = case.inputs.astype(np.float64)
    exact = inputs @ weights.T + case.layer.bias
    magnitude = np.abs(inputs) @ np.abs(weights).T + np.abs(case.layer.bias)
    terms = np.count_nonzero(weights, axis=1) + 1
    tolerance = 2 * terms * np.finfo(np.float32).eps * magnitude
    bits = [case.options.activation_min, case.options.activation_max]
    low, high = np.array(bits, np.int32).view(np.float32)
    assert outputs.dtype == np.float32
    # Clipping brings neighbours no further apart.
    assert np.all(np.abs(outputs - np.clip(exact, low, high)) <= tolerance)
