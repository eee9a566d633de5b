"""The search for the smallest model of a quality, with trials that cost nothing."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import cast

import numpy as np
import pytest

from tflm_sparsesep.compression.budget_search import LEVELS, Budget, Point
from tflm_sparsesep.compression.factorization import Factorization
from tflm_sparsesep.compression.model_search import best_trial
from tflm_sparsesep.compression.trial_builder import Trial
from tflm_sparsesep.compression.trials import Trials
from tflm_sparsesep.converters.rewrite import RewriteResult


class FakeTrials:
    """Quality that falls by half a dB a level, up and down by as much as with 11 samples.

    Careful fits gain up to 6 dB, less for few layers, or lose one.
    """

    def __init__(self, seed: int, jitter: float = 4.0, *, layers: int = 4) -> None:
        rng = np.random.default_rng(seed)
        falling = 60 - np.arange(LEVELS) / 2 + rng.uniform(-jitter, jitter, LEVELS)
        self._quality = {1: falling, 2: falling + rng.uniform(-1, 1.5 * layers, LEVELS)}
        self._forms = (Factorization("low_rank", rank=1),) * layers
        self.built: set[tuple[int, int]] = set()

    def trial(self, level: int, budget: Budget, *, effort: int = 1) -> Trial:
        return self.trials([level], budget, effort=effort)[0]

    def trials(self, levels: Sequence[int], _: Budget, *, effort: int = 1) -> list[Trial]:
        self.built |= {(level, effort) for level in levels}
        return [self._at(level, effort) for level in levels]

    def finished(self, trial: Trial, _: Budget) -> Trial:
        return trial

    def _at(self, level: int, effort: int) -> Trial:
        sqnr = float(self._quality[effort][level]) if level else math.inf
        drop = (60 - sqnr) / 4 if level else 0.0
        point = Point(level, sqnr, 10_000 - 50 * level, 5_000, accuracy_drop=drop)
        return Trial(point, self._forms, effort, b"", RewriteResult(b"", []))


def found(trials: FakeTrials, budget: Budget) -> Point:
    return best_trial(cast(Trials, trials), budget).point


@pytest.mark.parametrize("layers", [1, 2, 4])
@pytest.mark.parametrize("seed", range(20))
def test_what_a_lower_limit_finds_and_a_higher_one_accepts_is_taken(seed: int, layers: int) -> None:
    trials = FakeTrials(seed, layers=layers)
    points = {least: found(trials, Budget(min_output_sqnr_db=least)) for least in range(5, 50)}
    for low, high in itertools.combinations(points, 2):
        assert points[low].sqnr_db >= low
        if points[low].sqnr_db >= high:
            assert points[high] == points[low]
        assert points[high].flash_bytes >= points[low].flash_bytes


@pytest.mark.parametrize("seed", range(5))
def test_so_it_is_for_losses_of_accuracy(seed: int) -> None:
    trials = FakeTrials(seed, jitter=2.0)
    points = {most: found(trials, Budget(max_accuracy_drop=most)) for most in range(1, 15)}
    for low, high in itertools.combinations(points, 2):
        assert (points[low].accuracy_drop or 0) <= low
        if (points[high].accuracy_drop or 0) <= low:
            assert points[low] == points[high]


def test_levels_from_the_top_only() -> None:
    """Where quality falls evenly the highest level is found, and little is built beside it."""
    trials = FakeTrials(0, jitter=0.0)
    point = found(trials, Budget(min_output_sqnr_db=20))
    careful = [level for level, effort in trials.built if effort == 2]
    assert 20 <= point.sqnr_db < 20 + 7
    assert len(careful) <= 8 + 2
    assert min(level for level, _ in trials.built) >= point.level - 2 * 4


def test_both_limits_count() -> None:
    trials = FakeTrials(1)
    point = found(trials, Budget(min_output_sqnr_db=15, max_accuracy_drop=5))
    assert point.sqnr_db >= 40


def test_without_a_level_that_keeps_the_quality_nothing_changes() -> None:
    assert found(FakeTrials(2), Budget(min_output_sqnr_db=100)) == Point(
        0, math.inf, 10_000, 5_000, accuracy_drop=0.0
    )


def test_a_level_that_is_too_large_ends_the_search() -> None:
    point = found(FakeTrials(3), Budget(min_output_sqnr_db=20, flash_bytes=100))
    assert point.sqnr_db >= 20
    assert point.level > 40
