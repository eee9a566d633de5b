"""Lands a sum of costs just below a budget, although single costs jump.

Each layer's cost falls as its zeros rise, but where another layout becomes the best one it jumps.
If the sum jumps over the landing, the layer to blame stays on one side of its jump and the others
fill the gap: first below the jump, with more nonzeros in the others, then above it, with fewer.
Failing that, a landing with still more zeros is sought.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

# From a fraction of zeros of all layers together to the cost of one layer.
Cost = Callable[[float], int]

# Fractions of zeros closer together than this are the same.
RESOLUTION = 2e-4

_EVALUATIONS = 16
# Each evaluation takes at least this share off the range.
_MARGIN = 0.1
# A layer that jumps stays this share of its nonzeros away from the jump, which moves a little as
# weights and activations go on changing.
_DISTANCE = 0.03
# No layer loses more than these shares of its nonzeros to make room for one that jumps: few first,
# as another layout further on may cost more again.
_MOST_LOST = (0.05, 0.4)
# Shares of the nonzeros at which to look for another way into the landing.
_KEPT = (0.85, 0.72, 0.61, 0.52, 0.44)
# Layers set apart, one after the other: each doubles the searches.
_MOST_APART = 2


@dataclass(frozen=True)
class Landing:
    """Where the sum of costs may end: from `floor` to `ceiling`."""

    floor: float
    ceiling: float

    @property
    def middle(self) -> float:
        return (self.floor + self.ceiling) / 2


@dataclass(frozen=True)
class Bracket:
    """Fractions of zeros on both sides of the landing; the same where it was met.

    `above` costs more than the landing allows, `below` less.
    """

    above: float
    below: float


def land(
    costs: Mapping[str, Cost],
    landing: Landing,
    *,
    guess: float,
    least: float = 0.0,
    most: float = 1.0,
    apart: int = _MOST_APART,
) -> dict[str, float]:
    """The fraction of zeros for each layer with which their costs add up to the landing.

    Args:
        costs: of each layer. Evaluations take long: remember them.
        landing: what the sum has to meet.
        guess: the fraction to begin with.
        least, most: the range of fractions.
        apart: how many layers may get another fraction than the rest.

    Returns:
        Fractions that meet the landing; else those found that come closest to it from below; else
        `most`.
    """

    def total(zeros: Mapping[str, float]) -> int:
        return sum(cost(zeros[name]) for name, cost in costs.items())

    def alike(zeros: float) -> dict[str, float]:
        return dict.fromkeys(costs, zeros)

    found = bracket(lambda zeros: total(alike(zeros)), landing, guess=guess, least=least, most=most)
    best = alike(found.below)
    if landing.floor <= total(best) or found.above == found.below or len(costs) < 2 or not apart:
        return best
    jumps = max(costs, key=lambda name: costs[name](found.above) - costs[name](found.below))
    rest = {name: cost for name, cost in costs.items() if name != jumps}
    below = min(_with_nonzeros(found.below, 1 - _DISTANCE), most)
    above = max(_with_nonzeros(found.above, 1 + _DISTANCE), least)
    sides = [
        (below, least, found.below),
        *((above, found.above, _with_nonzeros(found.above, 1 - lost)) for lost in _MOST_LOST),
    ]
    for fixed, lower, upper in sides:
        spent = costs[jumps](fixed)
        left = Landing(landing.floor - spent, landing.ceiling - spent)
        zeros = land(rest, left, guess=fixed, least=lower, most=upper, apart=apart - 1)
        zeros = {**zeros, jumps: fixed}
        if total(best) < total(zeros) <= landing.ceiling:
            best = zeros
        if total(best) >= landing.floor:
            return best
    # Costs may also jump up as zeros rise, where a slower layout gets smaller: look behind it.
    for kept in _KEPT if apart == _MOST_APART else ():
        further = _with_nonzeros(found.below, kept)
        if total(alike(further)) > landing.ceiling:
            zeros = land(costs, landing, guess=further, least=further, most=most, apart=1)
            return max(best, zeros, key=total)
    return best


def _with_nonzeros(zeros: float, share: float) -> float:
    """The fraction of zeros with `share` times the nonzeros."""
    return 1 - (1 - zeros) * share


def bracket(
    cost: Cost, landing: Landing, *, guess: float, least: float = 0.0, most: float = 1.0
) -> Bracket:
    """Searches a fraction of zeros whose cost is in the landing, by interpolation and bisection.

    As for `land`; where even `least` costs less than the landing, or `most` more, it is both sides.
    """
    above, below = least, most
    cost_above, cost_below = cost(above), cost(below)
    if cost_above <= landing.ceiling:
        return Bracket(above, above)
    if cost_below >= landing.floor:
        return Bracket(below, below)
    zeros = guess if above < guess < below else (above + below) / 2
    was_above = None
    for _ in range(_EVALUATIONS):
        found = cost(zeros)
        if landing.floor <= found <= landing.ceiling:
            return Bracket(zeros, zeros)
        is_above = found > landing.ceiling
        if is_above:
            above, cost_above = zeros, found
        else:
            below, cost_below = zeros, found
        if below - above < RESOLUTION:
            break
        share = (cost_above - landing.middle) / (cost_above - cost_below)
        # At a jump, or on a curve, interpolation alone creeps along one side.
        share = 0.5 if is_above == was_above else min(max(share, _MARGIN), 1 - _MARGIN)
        zeros = above + (below - above) * share
        was_above = is_above
    return Bracket(above, below)
