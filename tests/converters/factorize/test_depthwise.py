"""Depthwise kernels as outer products: the closed form, data, and moments against plain sums."""

from __future__ import annotations

import doctest
import itertools

import numpy as np
import pytest

from tflm_sparsesep.converters.factorize import depthwise
from tflm_sparsesep.converters.factorize.depthwise import ChannelMoments, product, separate
from tflm_sparsesep.converters.factorize.gram import GramAccumulator

CHANNELS, KERNEL = 6, (3, 5)
TAPS = 15
RNG = np.random.default_rng(0)
WEIGHTS = RNG.normal(size=(CHANNELS, TAPS))


def correlated(count: int) -> np.ndarray:
    """Patches [count, taps, channels] of channels that each look at few directions."""
    mixing = np.random.default_rng(1).normal(size=(CHANNELS, TAPS, 4))
    found: np.ndarray = np.einsum("ctk,nck->ntc", mixing, RNG.normal(size=(count, CHANNELS, 4)))
    found = found + 0.2 * RNG.normal(size=found.shape) + RNG.normal(size=(TAPS, CHANNELS))
    return found


def test_moments_are_those_of_each_channel_alone() -> None:
    patches, targets = correlated(50), RNG.normal(size=(50, CHANNELS))
    moments = ChannelMoments.of(patches, targets)
    found, bias = moments.target_weights(WEIGHTS, damping=1e-2)
    for channel in range(CHANNELS):
        accumulator = GramAccumulator()
        accumulator.add(patches[:, :, channel], targets[:, [channel]])
        gram = accumulator.finish()
        np.testing.assert_allclose(moments.grams[channel], gram.matrix, atol=1e-9)
        np.testing.assert_allclose(
            moments.damped(0.1).grams[channel], gram.damped(0.1).matrix, atol=1e-9
        )
        wanted, wanted_bias = gram.target_weights(WEIGHTS[[channel]], damping=1e-2)
        np.testing.assert_allclose(found[channel], wanted[0], rtol=1e-6)
        np.testing.assert_allclose(bias[channel], wanted_bias[0], rtol=1e-6)
        error = gram.error(WEIGHTS[[channel]])
        np.testing.assert_allclose(moments.errors(WEIGHTS)[channel], error)


def test_data_help_and_turns_never_hurt() -> None:
    moments = ChannelMoments.of(correlated(200)).damped(1e-2)
    closed = separate(WEIGHTS, KERNEL)
    errors = [moments.errors(WEIGHTS - product(*closed))]
    for turns in (1, 2, 4, 20):
        found = separate(WEIGHTS, KERNEL, moments, turns=turns)
        errors.append(moments.errors(WEIGHTS - product(*found)))
    for before, after in itertools.pairwise(errors):
        assert np.all(after <= before * (1 + 1e-9))
    assert errors[-1].sum() < 0.5 * errors[0].sum()


def test_with_independent_inputs_data_change_nothing() -> None:
    moments = ChannelMoments(np.tile(np.eye(TAPS), (CHANNELS, 1, 1)), np.zeros((CHANNELS, TAPS)))
    closed, found = separate(WEIGHTS, KERNEL), separate(WEIGHTS, KERNEL, moments)
    np.testing.assert_allclose(product(*found), product(*closed), atol=1e-6)


@pytest.mark.parametrize("with_data", [False, True])
def test_products_are_found_again_and_zeros_stay(with_data: bool) -> None:
    weights = product(RNG.normal(size=(CHANNELS, 3)), RNG.normal(size=(CHANNELS, 5)))
    weights[2] = 0
    moments = ChannelMoments.of(correlated(200)).damped(1e-2) if with_data else None
    found = separate(weights, KERNEL, moments)
    assert all(np.isfinite(factor).all() for factor in found)
    np.testing.assert_allclose(product(*found), weights, atol=1e-9)


def test_silent_channels_have_weights_all_the_same() -> None:
    patches = correlated(100)
    patches[:, :, 3] = 0.5
    moments = ChannelMoments.of(patches).damped(1e-2)
    found = separate(WEIGHTS, KERNEL, moments)
    # All inputs alike and independent: the closed form.
    closed = product(*separate(WEIGHTS, KERNEL))
    np.testing.assert_allclose(product(*found)[3], closed[3], atol=1e-6)


def test_outputs() -> None:
    patches = correlated(7)
    wanted = [[patches[n, :, c] @ WEIGHTS[c] for c in range(CHANNELS)] for n in range(7)]
    np.testing.assert_allclose(depthwise.outputs(WEIGHTS, patches), wanted)


def test_examples() -> None:
    result = doctest.testmod(depthwise, extraglobs={"np": np})
    assert result.attempted > 0
    assert result.failed == 0
