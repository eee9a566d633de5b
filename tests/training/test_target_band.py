"""The search for fractions of zeros on known costs, with and without jumps."""

from __future__ import annotations

import pytest

from tflm_sparsesep.training.target_band import (
    RESOLUTION,
    LayerCost,
    TargetBand,
    bracket,
    find_zeros,
)

BAND = TargetBand(980, 1000)


def straight(dense: int) -> LayerCost:
    return lambda zeros: round(dense * (1 - zeros))


def jumping(dense: int, at: float, factor: float) -> LayerCost:
    """Like `straight`, but times `factor` from the fraction `at` on."""
    return lambda zeros: round(dense * (1 - zeros) * (factor if zeros >= at else 1))


def total(costs: dict[str, LayerCost], zeros: dict[str, float]) -> int:
    return sum(cost(zeros[name]) for name, cost in costs.items())


@pytest.mark.parametrize("guess", [0.0, 0.3, 0.9, 0.999, 1.0])
@pytest.mark.parametrize("dense", [1_001, 5_000, 40_000])
def test_meets_the_band_from_any_guess(dense: int, guess: float) -> None:
    costs = {"a": straight(dense), "b": straight(dense // 10)}
    zeros = find_zeros(costs, BAND, guess=guess)
    assert 980 <= total(costs, zeros) <= 1000
    assert len(set(zeros.values())) == 1


def test_costs_within_the_budget_stay() -> None:
    assert find_zeros({"a": straight(2_000)}, BAND, guess=0.9, least=0.6) == {"a": 0.6}


def test_the_cheapest_if_nothing_meets_the_band() -> None:
    assert find_zeros({"a": lambda zeros: 2_000}, BAND, guess=0.5) == {"a": 1.0}


def test_a_bracket_holds_the_jump() -> None:
    found = bracket(jumping(10_000, 0.9, 0.8), BAND, guess=0.5)
    assert found.above < 0.9 <= found.below < found.above + RESOLUTION


def test_others_fill_the_gap_below_a_jump() -> None:
    # At 0.9 together they cost 1250, right above it 1010 and at 0.91 900; a costs 800 at its jump.
    costs = {"a": jumping(10_000, 0.91, 0.8), "b": straight(2_000)}
    zeros = find_zeros(costs, BAND, guess=0.85, least=0.8)
    assert 980 <= total(costs, zeros) <= 1000
    assert zeros["a"] >= 0.91
    assert zeros["b"] < zeros["a"]


def test_others_make_room_above_a_jump() -> None:
    # Right above the jump 1030, below it 842; with least = 0.908 nothing can fill 138.
    costs = {"a": jumping(9_400, 0.9104, 0.8), "b": straight(2_100)}
    zeros = find_zeros(costs, BAND, guess=0.95, least=0.91)
    assert 980 <= total(costs, zeros) <= 1000
    assert zeros["a"] < 0.9104
    assert zeros["b"] > zeros["a"]


def test_a_jump_alone_ends_right_below_it() -> None:
    cost = jumping(10_000, 0.9, 0.8)
    zeros = find_zeros({"a": cost}, BAND, guess=0.5)["a"]
    assert 0.9 <= zeros < 0.9 + RESOLUTION


def test_a_band_beyond_a_jump_upwards() -> None:
    # 10% below the floor from 0.8 to 0.88, where another, slower layout takes over.
    def cost(zeros: float) -> int:
        if zeros < 0.8:
            return 1_200
        return 880 if zeros < 0.88 else round(10_000 * (1 - zeros))

    costs = {"a": cost, "b": straight(10)}
    zeros = find_zeros(costs, BAND, guess=0.5)
    assert 980 <= total(costs, zeros) <= 1000


def test_a_layer_that_jumps_keeps_away_from_its_jump() -> None:
    # 3% of its nonzeros: later changes by training must not carry it over.
    costs = {"a": jumping(10_000, 0.91, 0.8), "b": straight(2_000)}
    below = find_zeros(costs, BAND, guess=0.85, least=0.8)
    assert 1 - below["a"] <= 0.97 * (1 - 0.91)
    costs = {"a": jumping(9_400, 0.9104, 0.8), "b": straight(2_400)}
    above = find_zeros(costs, BAND, guess=0.95, least=0.88)
    assert 1 - above["a"] >= 1.029 * (1 - 0.9104)
    assert 980 <= total(costs, above) <= 1000


def test_room_is_made_though_a_layout_gets_slower_further_on() -> None:
    def slower(zeros: float) -> int:
        return round(2_100 * (1 - zeros)) + (500 if 0.93 < zeros < 0.97 else 0)

    # Right above the jump 1003, below it 840.
    costs = {"a": jumping(9_100, 0.9104, 0.8), "b": slower}
    zeros = find_zeros(costs, BAND, guess=0.912, least=0.91)
    assert 980 <= total(costs, zeros) <= 1000
    assert zeros["a"] < 0.9104
    assert zeros["b"] <= 0.93
