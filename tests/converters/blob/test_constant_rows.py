"""Constant rows get bounded numbers, and no output changes: proved by the kernels themselves."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support import native_ops
from tflm_sparsesep.converters.blob.constant_rows import bound_constant_rows
from tflm_sparsesep.converters.blob.format import FullyConnectedOptions, IndexEncoding, Layout
from tflm_sparsesep.converters.blob.pack import FloatWeights, FullyConnectedWeights, pack

Rounding = Literal["double", "single"]
INPUTS = np.array([[-128, -128], [127, 127], [-128, 127], [127, -128], [0, 3]], np.int8)


def layer(
    weights: list[int], bias: int, multiplier: int, shift: int, zero_point: int = -128
) -> FullyConnectedWeights:
    """One row of `weights` behind an ordinary one."""
    return FullyConnectedWeights(
        weights=np.array([[1] * len(weights), weights], np.int8),
        bias=np.array([3, bias], np.int32),
        multiplier=np.array([1 << 30, multiplier], np.int32),
        shift=np.array([-3, shift], np.int8),
        input_zero_point=zero_point,
    )


def outputs(given: FullyConnectedWeights, zero_point: int, rounding: Rounding) -> list[list[int]]:
    """What the kernels compute of INPUTS."""
    options = FullyConnectedOptions(given.input_zero_point, zero_point, -128, 127).to_bytes()
    blob = pack(given, Layout(IndexEncoding.U16))
    found = native_ops.sparse_fully_connected(options, blob, INPUTS, 2, rounding=rounding)
    return [[int(value) for value in vector] for vector in found]


def assert_same(given: FullyConnectedWeights, bounded: FullyConnectedWeights) -> None:
    for rounding in ("double", "single"):
        for zero_point in (-128, -5, 0, 127):
            wanted = outputs(given, zero_point, rounding)
            assert outputs(bounded, zero_point, rounding) == wanted


@pytest.mark.parametrize(
    ("bias", "multiplier", "shift"),
    [
        (1 << 30, 1569364972, -26),
        (-(1 << 30), 1404029393, -28),
        (-(1 << 30), 0, 0),
        (1 << 30, 1 << 30, -24),  # saturates
        (-(1 << 30), 1 << 30, -24),
        (-(1 << 30), 1 << 30, -30),  # -0.5: the two roundings differ
        (-3 * (1 << 29), 1 << 30, -29),
        (1610612732, 1 << 30, -30),  # just below a half, which the first rounding makes of it
        (5, 1 << 30, 2),
    ],
)
def test_dead_channels_become_bounded(bias: int, multiplier: int, shift: int) -> None:
    given = layer([0, 0], bias, multiplier, shift)
    assert not given.is_bounded()
    bounded = bound_constant_rows(given)
    assert isinstance(bounded, FullyConnectedWeights)
    assert bounded.is_bounded()
    assert_same(given, bounded)
    np.testing.assert_array_equal(bounded.weights[0], given.weights[0])


def test_weights_that_never_show_are_dropped() -> None:
    given = layer([90, -7], -(1 << 30), 1 << 30, -26)
    bounded = bound_constant_rows(given)
    assert isinstance(bounded, FullyConnectedWeights)
    assert bounded.is_bounded()
    assert not bounded.weights[1].any()
    assert_same(given, bounded)


@pytest.mark.parametrize(
    ("weights", "bias", "shift"),
    [
        ([1, 0], 0, 0),  # two outputs
        ([0, 0], 1 << 30, 3),  # the left shift wraps
        ([127, 127], 2**31 - 1, -26),  # the accumulator wraps
    ],
)
def test_other_rows_stay(weights: list[int], bias: int, shift: int) -> None:
    given = layer(weights, bias, 1 << 30, shift)
    kept = bound_constant_rows(given)
    assert isinstance(kept, FullyConnectedWeights)
    assert not kept.is_bounded()
    np.testing.assert_array_equal(kept.weights, given.weights)
    np.testing.assert_array_equal(kept.bias, given.bias)


def test_bounded_and_float_layers_are_returned_as_they_are() -> None:
    given = layer([1, 2], 5, 1 << 30, -3)
    real = FloatWeights(np.ones((1, 2), np.float32), np.ones(1, np.float32))
    assert bound_constant_rows(given) is given
    assert bound_constant_rows(real) is real


@settings(max_examples=300, deadline=None)
@given(
    weights=st.lists(st.integers(-2, 2), min_size=2, max_size=2),
    bias=st.integers(-(2**31), 2**31 - 1),
    multiplier=st.integers(0, 2**31 - 1),
    shift=st.integers(-31, 4),
)
def test_no_output_changes(weights: list[int], bias: int, multiplier: int, shift: int) -> None:
    given = layer(weights, bias, multiplier, shift)
    bounded = bound_constant_rows(given)
    assert isinstance(bounded, FullyConnectedWeights)
    assert_same(given, bounded)
