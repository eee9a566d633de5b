"""The proximal steps against the definitions of their formulas, on NumPy arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from tflm_sparsesep.training import proximal
from tflm_sparsesep.training.patterns import Blocks

# TensorFlow costs 8 s to import.
pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("tensorflow")]

Floats = npt.NDArray[np.float32]


POWERS: dict[str, float] = {"l0": 0, "l1/2": 0.5, "l2/3": 2 / 3, "l1": 1}


def penalty_of(u: Any, power: float) -> Any:
    return np.where(u != 0, np.abs(u) ** power, 0)


def minimizer(
    objective: Any, weights: Floats, candidates: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """For each weight the candidate u with the lowest objective(u, w): a search, no formula."""
    values = objective(candidates[:, np.newaxis], weights.astype(np.float64)[np.newaxis])
    best: npt.NDArray[np.float64] = candidates[np.argmin(values, axis=0)]
    return best


def step(weights: Floats, rate: float, strength: float, **options: Any) -> npt.NDArray[Any]:
    level = proximal.zeroing_level(options["penalty"], np.float32(rate * strength))
    preconditioner = options.pop("preconditioner", 1.0)
    scores = proximal.score(weights, preconditioner, **options)
    return np.asarray(proximal.proximal_step(weights, scores, level, preconditioner, **options))


@pytest.mark.parametrize("preconditioner", [0.25, 1.0, 4.0])
@pytest.mark.parametrize("penalty", POWERS)
def test_step_minimizes_the_objective(penalty: str, preconditioner: float) -> None:
    rate, strength = 0.1, 0.4
    weights = np.random.default_rng(0).normal(0, 0.3, 200).astype(np.float32)
    # Steps of 1e-4, 0 among them.
    grid = np.linspace(-2, 2, 40_001)
    expected = minimizer(
        lambda u, w: (
            preconditioner * (u - w) ** 2 / (2 * rate) + strength * penalty_of(u, POWERS[penalty])
        ),
        weights,
        grid,
    )
    result = step(
        weights, rate, strength, penalty=penalty, preconditioner=np.float32(preconditioner)
    )
    # Around its minimum the objective is convex: the best grid point is within one step of it.
    np.testing.assert_allclose(result, expected, atol=1.1e-4)
    np.testing.assert_array_equal(result == 0, expected == 0)
    assert 0 < np.count_nonzero(result == 0) < 195


@pytest.mark.parametrize("pattern", ["2x4", "row", "column"])
@pytest.mark.parametrize("penalty", POWERS)
def test_step_on_blocks_minimizes_the_objective(penalty: str, pattern: str) -> None:
    rate, diagonal = 0.1, 1.7
    strength = 2.0 if penalty == "l1" else 0.4
    rng = np.random.default_rng(1)
    weights = rng.normal(0, 0.3, (16, 12)).astype(np.float32)
    weights *= rng.uniform(0, 3, (4, 1, 6, 1)).repeat(4, 1).repeat(2, 3).reshape(16, 12)
    if pattern in ("row", "column"):
        weights *= rng.uniform(0, 2, (1, 12) if pattern == "row" else (16, 1)).astype(np.float32)
    blocks = Blocks.of(weights.shape, pattern)
    result = step(
        weights,
        rate,
        strength,
        penalty=penalty,
        preconditioner=np.full((16, 12), diagonal, np.float32),
        blocks=blocks,
    )
    # With one D for all weights, the best point of a block is a multiple of it, by symmetry.
    scales = np.linspace(0, 1, 10_001)[:, np.newaxis]
    norms = np.sqrt(np.asarray(blocks.sum(weights**2)).ravel() / blocks.area)
    values = blocks.area * (
        diagonal * ((scales - 1) * norms) ** 2 / (2 * rate)
        + strength * penalty_of(scales * norms, POWERS[penalty])
    )
    best = scales.ravel()[np.argmin(values, axis=0)].reshape(blocks.grid)
    expected = weights * np.asarray(blocks.spread(best, weights.shape))
    # One step of the scale, times the largest weight (below 3).
    np.testing.assert_allclose(result, expected, atol=3e-4)
    zeroed = np.count_nonzero(np.asarray(blocks.sum(np.abs(result))) == 0)
    assert 0 < zeroed < np.prod(blocks.grid)


def test_l0_on_blocks_weighs_each_weight_by_its_own_second_moment() -> None:
    rate, strength = 0.1, 0.8
    rng = np.random.default_rng(2)
    weights = rng.normal(0, 0.3, (16, 12)).astype(np.float32)
    diagonal = rng.uniform(0.1, 4, (16, 12)).astype(np.float32)
    blocks = Blocks.of(weights.shape, "4x4")
    result = step(weights, rate, strength, penalty="l0", preconditioner=diagonal, blocks=blocks)
    zeroing = np.asarray(blocks.sum(diagonal * weights**2)) / (2 * rate)
    kept = np.asarray(blocks.spread(zeroing > strength * blocks.area, weights.shape))
    np.testing.assert_array_equal(result, np.where(kept, weights, 0))
    assert 0 < np.count_nonzero(kept) < kept.size


@pytest.mark.parametrize("penalty", POWERS)
def test_strength_and_level_belong_together(penalty: str) -> None:
    strengths = np.array([0, 1e-8, 1e-3, 0.5, 20], np.float32)
    levels = proximal.zeroing_level(penalty, strengths)
    # Two powers in float32, each good to a few units in the last place.
    np.testing.assert_allclose(proximal.strength_at(penalty, levels), strengths, rtol=1e-5)


@pytest.mark.parametrize("penalty", POWERS)
@pytest.mark.parametrize("pattern", ["1x1", "4x1"])
def test_zeros_are_positive_and_nan_stays(penalty: str, pattern: str) -> None:
    weights = np.array([[-0.1], [-0.0], [0.1], [np.nan], [-1.0]], np.float32)
    # 4x1: blocks of four outputs, of which one is there.
    blocks = Blocks.of(weights.shape, pattern)
    scores = proximal.score(weights, penalty=penalty, blocks=blocks)
    result = np.asarray(
        proximal.proximal_step(weights, scores, np.float32(0.2), penalty=penalty, blocks=blocks)
    ).ravel()
    np.testing.assert_array_equal(result[:3], 0)
    assert not np.signbit(result[:3]).any()
    assert np.isnan(result[3])
    assert result[4] < -0.5


@pytest.mark.parametrize("penalty", POWERS)
def test_level_0_leaves_weights(penalty: str) -> None:
    weights = np.random.default_rng(3).normal(0, 0.3, 100).astype(np.float32)
    # Closed forms in float32; cubing triples the error of a root.
    np.testing.assert_allclose(step(weights, 0.1, 0.0, penalty=penalty), weights, rtol=3e-6)


@pytest.mark.parametrize("zeros", [1, 7, 500, 999, 1000])
def test_level_reaches_the_number_of_zeros(zeros: int) -> None:
    rng = np.random.default_rng(2)
    scores = [rng.random((20, 30)).astype(np.float32), rng.random(400).astype(np.float32)]
    level = float(proximal.level_for_zeros(scores, np.int32(zeros)))
    ordered = np.sort(np.concatenate([score.ravel() for score in scores]))
    assert ordered[zeros - 1] <= level
    # To 2^-24 of the largest score, and one rounding of the middle.
    assert level <= ordered[zeros - 1] + ordered[-1] * 2**-23


@pytest.mark.parametrize("zeros", [1, 100, 399, 559])
def test_level_counts_the_weights_of_blocks(zeros: int) -> None:
    rng = np.random.default_rng(4)
    blocks = [Blocks.of((20, 18), "4x4"), Blocks.of((20, 10), "1x1")]
    scores = [rng.random(b.grid).astype(np.float32) for b in blocks]
    level = float(proximal.level_for_zeros(scores, np.int32(zeros), blocks))
    dropped = sum(int(b.sizes[s <= level].sum()) for b, s in zip(blocks, scores, strict=True))
    assert zeros <= dropped < zeros + 16


@pytest.mark.parametrize(("zeros", "level"), [(0, 0.0), (2, 0.0), (3, 0.5)])
def test_level_counts_zeros_that_are_there(zeros: int, level: float) -> None:
    scores = [np.array([0, 0.5, 1, 0, 2], np.float32)]
    found = float(proximal.level_for_zeros(scores, np.int32(zeros)))
    assert found == pytest.approx(level, abs=2 * 2**-23)


def test_ramp_rises_from_nothing_to_all() -> None:
    values = [proximal.ramp(p) for p in (-1, 0, 0.25, 0.5, 1, 2)]
    assert values == [0, 0, 1 - 0.75**3, 0.875, 1, 1]
