"""The form of a depthwise convolution: with one channel it is a convolution separated to rank 1."""

from __future__ import annotations

import numpy as np
import pytest

from tflm_sparsesep.compression.factorization import (
    DEPTHWISE_SEPARATED,
    DepthwiseFitProblem,
    Factorization,
    Fitted,
    MatrixFitProblem,
    depthwise_windows,
)
from tflm_sparsesep.converters.factorize.depthwise import ChannelMoments
from tflm_sparsesep.converters.factorize.gram import accumulate

TAPS = (3, 5)
RNG = np.random.default_rng(0)
MIXING = RNG.normal(size=(15, 15))


def samples(channels: int) -> np.ndarray:
    """Patches as `gram.patches` gives them, [n, taps * channels], of a mean that is not 0."""
    rows = RNG.normal(size=(300, channels, 15)) @ MIXING + 0.5
    return rows.transpose(0, 2, 1).reshape(300, -1)


def test_one_channel_is_a_convolution_of_one_channel() -> None:
    weights, x, one = RNG.normal(size=(1, 15)), samples(1), np.ones(1)
    moments = ChannelMoments.of(depthwise_windows(x, 1)).damped(1e-2)
    ours = DepthwiseFitProblem(weights, moments, one, TAPS)
    theirs = MatrixFitProblem(weights, accumulate([x]).damped(1e-2), one, (*TAPS, 1))
    fitted = ours.fit(DEPTHWISE_SEPARATED, effort=1)
    as_separated = Fitted(Factorization("separated", rank=1), fitted.matrices)
    assert ours.error(fitted) == pytest.approx(theirs.error(as_separated))
    np.testing.assert_allclose(ours.bias_shift(fitted), theirs.bias_shift(as_separated))
    # Exact steps against conjugate gradients, both from singular values.
    other = theirs.fit(Factorization("separated", rank=1), effort=2)
    assert ours.error(fitted) == pytest.approx(theirs.error(other), rel=1e-3)


def test_errors_count_by_importance() -> None:
    weights, x = RNG.normal(size=(4, 15)), samples(4)
    moments = ChannelMoments.of(depthwise_windows(x, 4)).damped(1e-2)
    alone = []
    for channel in range(4):
        importance = np.full(4, 1e-9)
        importance[channel] = 1
        layer = DepthwiseFitProblem(weights, moments, importance, TAPS)
        alone.append(layer.error(layer.fit(DEPTHWISE_SEPARATED, effort=1)))
    layer = DepthwiseFitProblem(weights, moments, np.ones(4), TAPS)
    power = moments.errors(weights)
    wanted = np.average(alone, weights=power)
    assert layer.error(layer.fit(DEPTHWISE_SEPARATED, effort=1)) == pytest.approx(wanted, rel=1e-6)


def test_refitted_to_other_inputs_it_does_better_there() -> None:
    weights = RNG.normal(size=(4, 15))
    here, there = (
        DepthwiseFitProblem(
            weights, ChannelMoments.of(depthwise_windows(x, 4)).damped(1e-2), np.ones(4), TAPS
        )
        for x in (samples(4), samples(4) * np.repeat(np.arange(15) % 3, 4))
    )
    fitted = here.fit(DEPTHWISE_SEPARATED, effort=1)
    again = there.refit(DEPTHWISE_SEPARATED, lambda: fitted)
    assert there.error(again) < there.error(fitted)
    assert [m.shape for m in again.matrices] == [(4, 3), (4, 5)]
