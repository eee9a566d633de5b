"""The proximal maths against what the formulas define, on NumPy arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from tflm_sparsesep import proximal

# TensorFlow costs 8 s to import.
pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("tensorflow")]

Floats = npt.NDArray[np.float32]


def minimiser(
    objective: Any, weights: Floats, candidates: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """For each weight the candidate u with the lowest objective(u, w): a search, no formula."""
    values = objective(candidates[:, np.newaxis], weights.astype(np.float64)[np.newaxis])
    best: npt.NDArray[np.float64] = candidates[np.argmin(values, axis=0)]
    return best


@pytest.mark.parametrize("preconditioner", [0.25, 1.0, 4.0])
def test_soft_threshold_minimises_the_l1_objective(preconditioner: float) -> None:
    rate, strength = 0.1, 0.8
    weights = np.random.default_rng(0).normal(0, 0.3, 200).astype(np.float32)
    grid = np.linspace(-2, 2, 40_001)
    expected = minimiser(
        lambda u, w: preconditioner * (u - w) ** 2 / (2 * rate) + strength * np.abs(u),
        weights,
        grid,
    )
    threshold = proximal.l1_threshold(rate, strength, preconditioner)
    result = np.asarray(proximal.soft_threshold(weights, threshold))
    # The objective is strictly convex: the best grid point is within one step (1e-4) of the best.
    np.testing.assert_allclose(result, expected, atol=1.1e-4)
    assert 5 < np.count_nonzero(result == 0) < 195


@pytest.mark.parametrize("preconditioner", [0.25, 1.0, 4.0])
def test_hard_threshold_minimises_the_l0_objective(preconditioner: float) -> None:
    rate, strength = 0.1, 0.4
    weights = np.random.default_rng(1).normal(0, 0.3, 200).astype(np.float32)
    kept_cost = np.full(200, strength)
    zeroed_cost = preconditioner * weights.astype(np.float64) ** 2 / (2 * rate)
    expected = np.where(kept_cost < zeroed_cost, weights, 0)
    scores = proximal.l0_score(weights, preconditioner)
    result = np.asarray(proximal.hard_threshold(weights, scores, np.sqrt(2 * rate * strength)))
    np.testing.assert_array_equal(result, expected)
    assert 5 < np.count_nonzero(result == 0) < 195


def test_zeros_are_positive_and_nan_stays() -> None:
    weights = np.array([-0.1, -0.0, 0.1, np.nan, -1.0], np.float32)
    for result in (
        np.asarray(proximal.soft_threshold(weights, np.float32(0.2))),
        np.asarray(proximal.hard_threshold(weights, np.abs(weights), np.float32(0.2))),
    ):
        np.testing.assert_array_equal(result[:3], 0)
        assert not np.signbit(result[:3]).any()
        assert np.isnan(result[3])
        assert result[4] < -0.5


@pytest.mark.parametrize("zeros", [1, 7, 500, 999, 1000])
def test_level_reaches_the_number_of_zeros(zeros: int) -> None:
    rng = np.random.default_rng(2)
    scores = [rng.random((20, 30)).astype(np.float32), rng.random(400).astype(np.float32)]
    level = float(proximal.level_for_zeros(scores, np.int32(zeros)))
    ordered = np.sort(np.concatenate([score.ravel() for score in scores]))
    assert ordered[zeros - 1] <= level
    # To 2^-24 of the largest score, and one rounding of the middle.
    assert level <= ordered[zeros - 1] + ordered[-1] * 2**-23


@pytest.mark.parametrize(("zeros", "level"), [(0, 0.0), (2, 0.0), (3, 0.5)])
def test_level_counts_zeros_that_are_there(zeros: int, level: float) -> None:
    scores = [np.array([0, 0.5, 1, 0, 2], np.float32)]
    found = float(proximal.level_for_zeros(scores, np.int32(zeros)))
    assert found == pytest.approx(level, abs=2 * 2**-23)


def test_ramp_rises_from_nothing_to_all() -> None:
    values = [proximal.ramp(p) for p in (-1, 0, 0.25, 0.5, 1, 2)]
    assert values == [0, 0, 1 - 0.75**3, 0.875, 1, 1]


def test_preconditioners_are_the_optimizers_denominators() -> None:
    velocity = np.array([4e-4, 9e-2, 0], np.float32)
    adam = proximal.adam_preconditioner(velocity, 2, beta_2=0.9, epsilon=1e-7)
    # Rounding: 1 - 0.9^2 in float32 is good to 2^-24 / 0.19, halved by the root; 1e-6 covers it.
    np.testing.assert_allclose(np.asarray(adam), np.sqrt(velocity / 0.19) + 1e-7, rtol=1e-6)
    rmsprop = proximal.rmsprop_preconditioner(
        velocity, np.array([0.01, 0.1, 0], np.float32), epsilon=1e-7
    )
    expected = np.sqrt(np.array([4e-4 - 1e-4, 9e-2 - 1e-2, 0]) + 1e-7)
    np.testing.assert_allclose(np.asarray(rmsprop), expected, rtol=1e-6)
