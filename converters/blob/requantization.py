"""Requantization parameters of TFLite's int8 kernels, bit-exact.

They follow TFLite's `QuantizeMultiplier`, `GetQuantizedConvolutionMultipler` and
`CalculateActivationRangeQuantized`. `sparsesep/requantize.h` is the device side.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

INT8_MIN, INT8_MAX = -128, 127

_ACCUMULATOR_BOUND = 1 << 30


def quantize_multiplier(real: float) -> tuple[int, int]:
    """Return (multiplier, shift) with real ~ multiplier * 2^(shift - 31).

    The multiplier is Q0.31 in [2^30, 2^31), or 0. A positive shift is to the left.

    Example:
        >>> quantize_multiplier(0.75)
        (1610612736, 0)
    """
    if real == 0.0:
        return 0, 0
    fraction, shift = math.frexp(real)
    # Rounds half away from zero, as TfLiteRound does; `fraction` is positive.
    multiplier = math.floor(fraction * (1 << 31) + 0.5)
    if multiplier == 1 << 31:
        multiplier //= 2
        shift += 1
    if shift < -31:
        return 0, 0
    return multiplier, shift


def requantization(
    input_scale: float,
    weight_scales: npt.NDArray[np.float32],
    output_scale: float,
    *,
    rows: int,
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int8]]:
    """Return the multipliers int32[rows] and shifts int8[rows] of a layer.

    Scales are multiplied in float64, as in LiteRT, and in TFLM since October 2026. Earlier TFLM
    uses float32 for FULLY_CONNECTED with one scale, which changes about one int8 output in 64,000
    by 1.

    Args:
        input_scale: of the input.
        weight_scales: [1] per tensor, or [rows] per channel.
        output_scale: of the output.
        rows: output channels.

    Raises:
        ValueError: a shift exceeds 30, which no kernel computes.
    """
    scale_in, scale_out = np.float32(input_scale), np.float32(output_scale)
    product = [float(scale_in) * float(np.float32(scale)) for scale in weight_scales]
    pairs = [quantize_multiplier(p / float(scale_out)) for p in product]
    if len(pairs) == 1:
        pairs = pairs * rows
    largest = max(shift for _, shift in pairs)
    if largest > 30:
        raise ValueError(f"the scales need a left shift of {largest}, at most 30 is possible")
    return (
        np.array([multiplier for multiplier, _ in pairs], dtype=np.int32),
        np.array([shift for _, shift in pairs], dtype=np.int8),
    )


def bounded_rows(
    folded_bias: npt.NDArray[np.int64],
    magnitudes: npt.NDArray[np.int64],
    shift: npt.NDArray[np.int8],
) -> npt.NDArray[np.bool_]:
    """Return True for rows whose accumulators stay below 2^30 and whose shift is to the right.

    Kernels requantize layers of such rows in fewer instructions (FLAG_BOUNDED, STAGE_BOUNDED).

    Args:
        folded_bias: [rows], before it wraps to 32 bits.
        magnitudes: [rows], the sum of |weight| of each row.
        shift: [rows].
    """
    largest = np.abs(folded_bias) - INT8_MIN * magnitudes
    bounded: npt.NDArray[np.bool_] = (largest < _ACCUMULATOR_BOUND) & (shift < 0)
    return bounded


_LIMITS: dict[str, tuple[float | None, float | None]] = {
    "NONE": (None, None),
    "RELU": (0.0, None),
    "RELU6": (0.0, 6.0),
    "RELU_N1_TO_1": (-1.0, 1.0),
}


def _limits(activation: str) -> tuple[float | None, float | None]:
    if activation not in _LIMITS:
        accepted = ", ".join(_LIMITS)
        raise ValueError(f"activation {activation} cannot be fused; accepted: {accepted}")
    return _LIMITS[activation]


def float_activation_range(activation: str) -> tuple[int, int]:
    """Return the limits of a float output after a fused activation, as the int32 of their bits.

    Raises:
        ValueError: `activation` is not NONE, RELU, RELU6 or RELU_N1_TO_1.
    """
    low, high = _limits(activation)
    bits = np.array(
        [-np.inf if low is None else low, np.inf if high is None else high], np.float32
    ).view(np.int32)
    return int(bits[0]), int(bits[1])


def activation_range(activation: str, output_scale: float, zero_point: int) -> tuple[int, int]:
    """Return the limits of an int8 output after a fused activation.

    Raises:
        ValueError: `activation` is not NONE, RELU, RELU6 or RELU_N1_TO_1.
    """

    def quantize(real: float) -> int:
        scaled = float(np.float32(real) / np.float32(output_scale))
        return zero_point + int(math.copysign(math.floor(abs(scaled) + 0.5), scaled))

    low, high = _limits(activation)
    return (
        INT8_MIN if low is None else max(INT8_MIN, quantize(low)),
        INT8_MAX if high is None else min(INT8_MAX, quantize(high)),
    )
