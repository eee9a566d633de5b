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


# Output zero points and activation limits.
OUTPUTS = [(-128, -128, 127), (-5, -5, 127), (0, -128, 127), (127, -100, 20), (-20, 4, 4)]


def options_of(layer: FullyConnectedWeights, *output: int) -> FullyConnectedOptions:
    """Options of a layer with an output of OUTPUTS."""
    return FullyConnectedOptions(layer.input_zero_point, *output)


def outputs(
    given: FullyConnectedWeights, options: FullyConnectedOptions, rounding: Rounding
) -> list[list[int]]:
    """What the kernels compute of INPUTS."""
    blob = pack(given, Layout(IndexEncoding.U16))
    found = native_ops.sparse_fully_connected(
        options.to_bytes(), blob, INPUTS, 2, rounding=rounding
    )
    return [[int(value) for value in vector] for vector in found]


def bound(
    given: FullyConnectedWeights, output: tuple[int, int, int] = OUTPUTS[0]
) -> FullyConnectedWeights:
    """The layer with bounded rows, proved to give the same outputs."""
    options = options_of(given, *output)
    bounded = bound_constant_rows(given, options)
    assert isinstance(bounded, FullyConnectedWeights)
    for rounding in ("double", "single"):
        wanted = outputs(given, options, rounding)
        assert outputs(bounded, options, rounding) == wanted
    return bounded


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
@pytest.mark.parametrize("output", OUTPUTS)
def test_dead_channels_become_bounded(
    bias: int, multiplier: int, shift: int, output: tuple[int, int, int]
) -> None:
    given = layer([0, 0], bias, multiplier, shift)
    assert not given.is_bounded()
    bounded = bound(given, output)
    assert bounded.is_bounded()
    np.testing.assert_array_equal(bounded.weights[0], given.weights[0])


def test_weights_that_never_show_are_dropped() -> None:
    given = layer([90, -7], -(1 << 30), 1 << 30, -26)
    bounded = bound(given)
    assert bounded.is_bounded()
    assert not bounded.weights[1].any()


@pytest.mark.parametrize("output", OUTPUTS)
@pytest.mark.parametrize("bias", [-(1 << 30), 1 << 30])
def test_constants_are_inside_the_limits(output: tuple[int, int, int], bias: int) -> None:
    bounded = bound(layer([0, 0], bias, 1 << 30, -24), output)
    zero_point, lowest, highest = output
    assert bounded.shift[1] == -2  # the least that rounding by a multiplication takes
    assert lowest <= bounded.bias[1] // 8 + zero_point <= highest


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
    kept = bound_constant_rows(given, options_of(given, *OUTPUTS[0]))
    assert isinstance(kept, FullyConnectedWeights)
    assert not kept.is_bounded()
    np.testing.assert_array_equal(kept.weights, given.weights)
    np.testing.assert_array_equal(kept.bias, given.bias)


def test_bounded_and_float_layers_are_returned_as_they_are() -> None:
    given = layer([1, 2], 5, 1 << 30, -3)
    real = FloatWeights(np.ones((1, 2), np.float32), np.ones(1, np.float32))
    options = options_of(given, *OUTPUTS[0])
    assert bound_constant_rows(given, options) is given
    assert bound_constant_rows(real, options) is real


@settings(max_examples=300, deadline=None)
@given(
    weights=st.lists(st.integers(-2, 2), min_size=2, max_size=2),
    bias=st.integers(-(2**31), 2**31 - 1),
    multiplier=st.integers(0, 2**31 - 1),
    shift=st.integers(-31, 4),
    output=st.sampled_from(OUTPUTS),
)
def test_no_output_changes(
    weights: list[int], bias: int, multiplier: int, shift: int, output: tuple[int, int, int]
) -> None:
    bound(layer(weights, bias, multiplier, shift), output)
