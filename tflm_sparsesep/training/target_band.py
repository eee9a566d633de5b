"""The search for fractions of zeros whose costs add up to a band just below a budget.

The cost of a layer falls as its zeros rise, but it jumps where another layout becomes the best. If
the sum jumps over the band, the layer with the largest jump stays on one side of it and the others
close the gap: first below the jump, with more nonzeros in the others, then above it, with fewer.
If that fails, the search goes on at still more zeros.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeVar

Layer = TypeVar("Layer", bound=Hashable)

LayerCost = Callable[[float], int]
"""From a fraction of zeros to the cost of one layer."""

RESOLUTION = 2e-4
"""Fractions of zeros that differ by less are the same."""

_EVALUATIONS = 16
# Each evaluation shrinks the range by at least this share.
_MARGIN = 0.1
# A layer that jumps keeps this share of its nonzeros away from the jump, which moves a little as
# weights and activations change.
_DISTANCE = 0.03
# No layer loses more than these shares of its nonzeros to make room for one that jumps. Few come
# first, because another layout further on may cost more again.
_MOST_LOST = (0.05, 0.4)
# Shares of the nonzeros at which to look for another way into the band.
_KEPT = (0.85, 0.72, 0.61, 0.52, 0.44)
# Layers set apart one after the other: each doubles the searches.
_MOST_APART = 2


@dataclass(frozen=True)
class TargetBand:
    """The range that the sum of costs has to meet, `floor` and `ceiling` included."""

    floor: float
    ceiling: float

    def __contains__(self, cost: float) -> bool:
        return self.floor <= cost <= self.ceiling

    @property
    def middle(self) -> float:
        """The cost to aim at."""
        return (self.floor + self.ceiling) / 2

    def minus(self, spent: float) -> TargetBand:
        """Return what is left of the band after a cost of `spent`."""
        return TargetBand(self.floor - spent, self.ceiling - spent)


@dataclass(frozen=True)
class Bracket:
    """Fractions of zeros on both sides of the band; the same if it was met.

    Attributes:
        above: costs more than the ceiling.
        below: costs less than the floor.
    """

    above: float
    below: float


def find_zeros(
    costs: Mapping[Layer, LayerCost],
    band: TargetBand,
    *,
    guess: float,
    least: float = 0.0,
    most: float = 1.0,
    apart: int = _MOST_APART,
) -> dict[Layer, float]:
    """Return the fraction of zeros of each layer with which their costs add up to the band.

    Args:
        costs: the cost function of each layer. They are called often: cache them.
        band: the range for the sum.
        guess: the fraction to begin with.
        least: the smallest fraction.
        most: the largest fraction.
        apart: the number of layers that may get another fraction than the others.

    Returns:
        Fractions that meet the band; else those that come closest from below; else `most`.

    Example:
        >>> find_zeros({"a": lambda zeros: round(1000 * (1 - zeros))}, TargetBand(90, 110), guess=0)
        {'a': 0.9}
    """

    def total(zeros: Mapping[Layer, float]) -> int:
        return sum(cost(zeros[layer]) for layer, cost in costs.items())

    def alike(zeros: float) -> dict[Layer, float]:
        return dict.fromkeys(costs, zeros)

    found = bracket(lambda zeros: total(alike(zeros)), band, guess=guess, least=least, most=most)
    best = alike(found.below)
    if band.floor <= total(best) or found.above == found.below or len(costs) < 2 or not apart:
        return best
    for zeros in _set_one_apart(costs, band, found, least=least, most=most, apart=apart):
        if total(best) < total(zeros) <= band.ceiling:
            best = zeros
        if total(best) >= band.floor:
            return best
    # Costs may also jump up as zeros rise, where a slower layout gets smaller: look beyond it.
    for kept in _KEPT if apart == _MOST_APART else ():
        further = _with_nonzeros(found.below, kept)
        if total(alike(further)) > band.ceiling:
            zeros = find_zeros(costs, band, guess=further, least=further, most=most, apart=1)
            return max(best, zeros, key=total)
    return best


def _set_one_apart(
    costs: Mapping[Layer, LayerCost],
    band: TargetBand,
    found: Bracket,
    *,
    least: float,
    most: float,
    apart: int,
) -> Iterator[dict[Layer, float]]:
    """Yield fractions with the layer that jumps most on one side of its jump.

    The others meet the rest of the band: on the side below the jump with any fraction up to that
    of the bracket, on the side above it with the fewest nonzeros lost.
    """
    jumping = max(costs, key=lambda layer: costs[layer](found.above) - costs[layer](found.below))
    others = {layer: cost for layer, cost in costs.items() if layer != jumping}
    below = min(_with_nonzeros(found.below, 1 - _DISTANCE), most)
    above = max(_with_nonzeros(found.above, 1 + _DISTANCE), least)
    sides = [
        (below, least, found.below),
        *((above, found.above, _with_nonzeros(found.above, 1 - lost)) for lost in _MOST_LOST),
    ]
    for fixed, lower, upper in sides:
        rest = band.minus(costs[jumping](fixed))
        zeros = find_zeros(others, rest, guess=fixed, least=lower, most=upper, apart=apart - 1)
        yield {**zeros, jumping: fixed}


def _with_nonzeros(zeros: float, share: float) -> float:
    """Return the fraction of zeros with `share` times the nonzeros."""
    return 1 - (1 - zeros) * share


def bracket(
    cost: LayerCost, band: TargetBand, *, guess: float, least: float = 0.0, most: float = 1.0
) -> Bracket:
    """Search a fraction of zeros whose cost is in the band, by interpolation and bisection.

    Args:
        cost: from a fraction of zeros to a cost.
        band: the range for the cost.
        guess: the fraction to begin with.
        least: the smallest fraction; both sides if it costs no more than the ceiling.
        most: the largest fraction; both sides if it costs no less than the floor.
    """
    above, below = least, most
    cost_above, cost_below = cost(above), cost(below)
    if cost_above <= band.ceiling:
        return Bracket(above, above)
    if cost_below >= band.floor:
        return Bracket(below, below)
    zeros = guess if above < guess < below else (above + below) / 2
    was_above = None
    for _ in range(_EVALUATIONS):
        found = cost(zeros)
        if found in band:
            return Bracket(zeros, zeros)
        is_above = found > band.ceiling
        if is_above:
            above, cost_above = zeros, found
        else:
            below, cost_below = zeros, found
        if below - above < RESOLUTION:
            break
        share = (cost_above - band.middle) / (cost_above - cost_below)
        # At a jump, or on a curve, interpolation alone creeps along one side.
        share = 0.5 if is_above == was_above else min(max(share, _MARGIN), 1 - _MARGIN)
        zeros = above + (below - above) * share
        was_above = is_above
    return Bracket(above, below)
