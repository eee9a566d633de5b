"""The search for a level against trying them all."""

from __future__ import annotations

import doctest
import itertools
import math
from typing import Any

import pytest

from tflm_sparsesep.compression import budget_search
from tflm_sparsesep.compression.budget_search import (
    LEVELS,
    Budget,
    Point,
    edge,
    limits,
    pareto,
    smallest_share,
)
from tflm_sparsesep.converters.errors import ConfigError

# Steps of 1, 2, 4 ... 64, then as many halvings.
MOST_TRIALS = 14


def falling(level: int) -> Point:
    """Quality, bytes and instructions all fall with the level."""
    sqnr = math.inf if level == 0 else 60.0 - level / 2
    return Point(level, sqnr, 10_000 - 50 * level, 5_000 - 25 * level, 900 - level, level / 10)


@pytest.mark.parametrize("limit", [4_400, 4_401, 7_777, 9_900, 9_999, 10_000, 20_000])
def test_the_lowest_level_that_is_small_enough(limit: int) -> None:
    wanted = min(level for level in range(LEVELS) if falling(level).flash_bytes <= limit)
    assert smallest_share(falling, Budget(flash_bytes=limit)).level == wanted


def test_without_labels_no_accuracy_is_kept() -> None:
    assert not Budget(max_accuracy_drop=1).keeps_quality(Point(3, 40.0, 1, 1))


def test_all_limits_of_size_count() -> None:
    assert smallest_share(falling, Budget(flash_bytes=9_000, instructions=4_000)).level == 40
    assert smallest_share(falling, Budget(flash_bytes=7_000, instructions=4_500)).level == 60
    assert smallest_share(falling, Budget(flash_bytes=9_000, arena_bytes=850)).level == 50


def test_what_cannot_be_small_enough_ends_at_the_last_level() -> None:
    assert smallest_share(falling, Budget(flash_bytes=1)).level == LEVELS - 1


@pytest.mark.parametrize(
    "budget", [Budget(flash_bytes=9_000), Budget(flash_bytes=5_000), Budget(instructions=1)]
)
def test_no_more_trials_than_announced(budget: Budget) -> None:
    tried: list[int] = []

    def evaluate(level: int) -> Point:
        tried.append(level)
        return falling(level)

    smallest_share(evaluate, budget)
    assert len(tried) <= MOST_TRIALS


def test_levels_ask_for_less_and_less() -> None:
    quality, sizes = Budget(min_output_sqnr_db=20), Budget(flash_bytes=9_000, instructions=5_000)
    noise = [limits(level, quality).noise for level in range(1, LEVELS)]
    assert noise == sorted(noise)
    assert noise[80 - 1] == pytest.approx(0.01)  # 60 - 80 / 2 dB
    found = [limits(level, sizes) for level in range(1, LEVELS)]
    for limit, most in (("flash_bytes", 9_000), ("instructions", 5_000)):
        values = [getattr(each, limit) for each in found]
        assert values == sorted(values, reverse=True)
        assert min(abs(value - most) for value in values) <= 0.016 * most
    assert all(math.isinf(each.noise) for each in found)


def test_a_quick_fit_may_be_some_decibels_short() -> None:
    budget = Budget(min_output_sqnr_db=20, max_accuracy_drop=1)
    for changed in (4, 5, 100):
        assert budget.may_keep_quality(Point(5, 12.5, 1, 1, accuracy_drop=8.5), changed=changed)
        assert not budget.may_keep_quality(Point(5, 11.5, 1, 1, accuracy_drop=0), changed=changed)
        assert not budget.may_keep_quality(Point(5, 30.0, 1, 1, accuracy_drop=9.5), changed=changed)
        assert not budget.may_keep_quality(Point(5, 30.0, 1, 1), changed=changed)
    low = Budget(min_output_sqnr_db=3)
    assert not low.may_keep_quality(Point(5, -1.0, 1, 1), changed=100)


@pytest.mark.parametrize(("changed", "decibels"), [(0, 0), (1, 2), (2, 4), (3, 6), (4, 8), (9, 8)])
def test_few_changed_layers_have_little_to_gain(changed: int, decibels: int) -> None:
    budget = Budget(min_output_sqnr_db=20)
    least = 20.0 - decibels
    assert budget.may_keep_quality(Point(5, least, 1, 1), changed=changed)
    assert not budget.may_keep_quality(Point(5, least - 0.01, 1, 1), changed=changed)


def test_with_quality_and_a_size_both_are_asked_for() -> None:
    found = limits(50, Budget(min_output_sqnr_db=20, flash_bytes=1_000))
    assert 900 < found.flash_bytes < 1_000
    assert found.noise < 1
    assert math.isinf(found.instructions)


@pytest.mark.parametrize("start", [0, 17, 50, 99])
@pytest.mark.parametrize("first", [1, 18, 49, 100])
def test_an_edge_is_found_from_anywhere(start: int, first: int) -> None:
    tried: list[int] = []

    def below(at: int) -> bool:
        tried.append(at)
        return at < first

    assert edge(below, 0, 100, start) == first - 1
    assert len(set(tried)) == len(tried) <= 14


def test_the_front_is_what_nothing_beats() -> None:
    points = [
        Point(i, float(q), b, n)
        for i, (q, b, n) in enumerate(itertools.product((10, 20), (5, 6), (7, 8)))
    ]
    best, cheap = Point(9, 20.0, 5, 7), Point(10, 9.0, 4, 7)
    front = pareto([*points, best, cheap, cheap])
    # The grid's own (20, 5, 7) is as good as `best`, so both stay.
    assert [(p.sqnr_db, p.flash_bytes, p.instructions) for p in front] == [
        (9.0, 4, 7),
        (20.0, 5, 7),
        (20.0, 5, 7),
    ]


def test_what_is_exceeded_is_said() -> None:
    excess = Budget(flash_bytes=9_000, instructions=6_000).excess(falling(0))
    assert excess == ["flash_bytes is 10,000, limit 9,000"]


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        ({}, "the budget is empty"),
        ({"min_output_sqnr_db": math.nan}, "min_output_sqnr_db is nan"),
        ({"flash_bytes": 0}, "flash_bytes is 0"),
        ({"max_accuracy_drop": 0}, "max_accuracy_drop is 0"),
        ({"instructions": -5}, "instructions is -5"),
    ],
)
def test_budgets_that_say_nothing_are_refused(limits: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Budget(**limits)


def test_an_unchanged_model_is_plain_json() -> None:
    assert falling(0).to_json()["sqnr_db"] is None
    assert falling(3).to_json()["sqnr_db"] == 58.5


def test_examples() -> None:
    result = doctest.testmod(budget_search)
    assert result.attempted > 0
    assert result.failed == 0
