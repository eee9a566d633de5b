"""TFLite's requantization parameters, on cases that can be computed by hand."""

from __future__ import annotations

import numpy as np
import pytest

from tflm_sparsesep.converters.blob.requantization import (
    activation_range,
    float_activation_range,
    quantize_multiplier,
    requantization,
)


@pytest.mark.parametrize(
    ("real", "expected"),
    [
        (0.0, (0, 0)),
        (0.5, (1 << 30, 0)),
        (1.0, (1 << 30, 1)),
        (3.0, (3 << 29, 2)),
        (2.0**-31, (1 << 30, -30)),
        (2.0**-33, (0, 0)),  # every bit would be shifted out
        (1 - 2.0**-40, (1 << 30, 1)),  # the fraction rounds up to 1
    ],
)
def test_quantize_multiplier(real: float, expected: tuple[int, int]) -> None:
    assert quantize_multiplier(real) == expected


def test_scales_are_multiplied_in_float64() -> None:
    a, b = np.float32(0.1), np.float32(0.3)
    expected = quantize_multiplier(float(a) * float(b))[0]
    assert expected != quantize_multiplier(float(np.float32(a * b)))[0]
    for scales in ([b], [b, b]):
        multipliers, _ = requantization(float(a), np.array(scales), 1.0, rows=2)
        assert multipliers.tolist() == [expected, expected]


def test_too_large_a_shift_is_refused() -> None:
    with pytest.raises(ValueError, match="left shift of 41, at most 30"):
        requantization(2.0**40, np.array([1.0], np.float32), 1.0, rows=1)


@pytest.mark.parametrize(
    ("activation", "expected"),
    [("NONE", (-128, 127)), ("RELU", (-5, 127)), ("RELU6", (-5, 55)), ("RELU_N1_TO_1", (-15, 5))],
)
def test_activation_range(activation: str, expected: tuple[int, int]) -> None:
    assert activation_range(activation, 0.1, -5) == expected


def test_unknown_activation_is_refused() -> None:
    with pytest.raises(ValueError, match="activation TANH cannot be fused; accepted: NONE, RELU"):
        activation_range("TANH", 0.1, 0)


def test_float_activation_range_holds_the_bits_of_floats() -> None:
    bits = np.array(float_activation_range("RELU6"), np.int32)
    np.testing.assert_array_equal(bits.view(np.float32), np.array([0, 6], np.float32))
    none = np.array(float_activation_range("NONE"), np.int32).view(np.float32)
    np.testing.assert_array_equal(none, np.array([-np.inf, np.inf], np.float32))
