"""Costs: what beats what, and sums."""

from __future__ import annotations

import pytest

from tflm_sparsesep.converters.cost.cost import Cost, total


@pytest.mark.parametrize(
    ("cost", "beats"), [((9, 99), True), ((10, 99), False), ((9, 100), False), ((1, 101), False)]
)
def test_a_cost_beats_another_in_both_parts(cost: tuple[int, int], beats: bool) -> None:
    assert Cost(*cost).beats(Cost(10, 100)) == beats


def test_totals() -> None:
    assert total([Cost(8, 100), Cost(2, 10)]) == Cost(10, 110)
    assert total([]) == Cost(0, 0)
