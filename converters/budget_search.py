"""How far to compress: the search for the level at which all budgets hold.

A level i keeps the share 2^(-i/8) of the weights: level 0 all, level 56 less than a hundredth. Each
is tried by a function that says what becomes of the model; output SQNR, bytes and instructions are
taken to fall from level to level. What is returned has been tried, so where that does not quite
hold, the result is still within the budget.

- With `min_output_sqnr_db`: the highest level that keeps it, found by bisection. If that one is
  still too large, so is every other that keeps it.
- Without: the lowest level that is small enough, which is the one of best SQNR.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from tflm_sparsesep.converters.errors import ConfigError

LEVELS = 57
Block = tuple[int, int]


@dataclass(frozen=True)
class Budget:
    """Limits that a compressed model must keep; None for no limit, but one is needed.

    min_output_sqnr_db: of the outputs against the original model's, in dB.
    flash_bytes: of the .tflite file.
    instructions: estimated, per inference, of the layers that the converter looks at.

    Raises:
        ConfigError: no limit, or one that is not a positive finite number.
    """

    min_output_sqnr_db: float | None = None
    flash_bytes: int | None = None
    instructions: int | None = None

    def __post_init__(self) -> None:
        limits = vars(self)
        if all(value is None for value in limits.values()):
            raise ConfigError(f"the budget is empty; accepted: at least one of {', '.join(limits)}")
        for name, value in limits.items():
            if value is not None and not (math.isfinite(value) and value > 0):
                raise ConfigError(f"{name} is {value!r}; accepted: a finite number above 0")

    def keeps_quality(self, point: Point) -> bool:
        """Whether the SQNR suffices."""
        return self.min_output_sqnr_db is None or point.sqnr_db >= self.min_output_sqnr_db

    def is_small(self, point: Point) -> bool:
        """Whether bytes and instructions are within their limits."""
        return not self.excess(point)

    def excess(self, point: Point) -> list[str]:
        """The limits that `point` exceeds, as "flash_bytes is 90,000, limit 64,000"."""
        sizes = {"flash_bytes": point.flash_bytes, "instructions": point.instructions}
        limits = vars(self)
        return [
            f"{name} is {size:,}, limit {limits[name]:,}"
            for name, size in sizes.items()
            if limits[name] is not None and size > limits[name]
        ]


@dataclass(frozen=True)
class Point:
    """What one trial gave.

    block: rows and columns kept or dropped together. share: of the weights, that could be kept.
    sqnr_db: of the outputs; inf where nothing changed. flash_bytes, instructions: as in `Budget`.
    """

    block: Block
    level: int
    share: float
    sqnr_db: float
    flash_bytes: int
    instructions: int

    def __str__(self) -> str:
        quality = "outputs unchanged" if math.isinf(self.sqnr_db) else f"{self.sqnr_db:.1f} dB"
        rows, cols = self.block
        return (
            f"{quality}, {self.flash_bytes:,} bytes, {self.instructions:,} instructions "
            f"({rows}x{cols} blocks, {self.share:.1%} of the weights)"
        )

    def to_json(self) -> dict[str, Any]:
        """The fields as plain values; an infinite SQNR is None."""
        sqnr = self.sqnr_db if math.isfinite(self.sqnr_db) else None
        return {**vars(self), "block": list(self.block), "sqnr_db": sqnr}


def share_of(level: int) -> float:
    """The share of the weights that a level keeps.

    Example:
        >>> share_of(0), share_of(8)
        (1.0, 0.5)
    """
    return float(2.0 ** (-level / 8))


def search(evaluate: Callable[[int], Point], budget: Budget) -> Point:
    """The point to take, or the one that comes closest where the budget cannot be met.

    `evaluate` is called once for each level that is asked for, at most 7 times.

    Example:
        >>> def model(level):
        ...     return Point((1, 1), level, share_of(level), 60.0 - level, 100 - level, 0)
        >>> search(model, Budget(min_output_sqnr_db=25)).level
        35
        >>> search(model, Budget(flash_bytes=80)).level
        20
    """
    if budget.min_output_sqnr_db is not None:
        return _last(evaluate, budget.keeps_quality)
    first = _first(evaluate, budget.is_small)
    return evaluate(LEVELS - 1) if first is None else first


def most_trials() -> int:
    """How often `search` calls `evaluate` at most."""
    return math.ceil(math.log2(LEVELS)) + 1


def choose(points: Iterable[Point], budget: Budget) -> Point:
    """The best of the ends of several searches.

    Of those in the budget: with a quality to keep the one of the least bytes times instructions,
    else the one of the highest SQNR. If none is in it, the one that exceeds it least.
    """
    ends = list(points)
    good = [p for p in ends if budget.keeps_quality(p) and budget.is_small(p)]
    if not good:
        return min(ends, key=lambda p: _overshoot(p, budget))
    if budget.min_output_sqnr_db is None:
        return max(good, key=lambda p: p.sqnr_db)
    return min(good, key=lambda p: p.flash_bytes * p.instructions)


def pareto(points: Iterable[Point]) -> list[Point]:
    """The points that no other beats in SQNR, bytes and instructions at once, smallest first."""
    unique = sorted(set(points), key=lambda p: (p.flash_bytes, p.instructions, p.block, p.level))
    return [p for p in unique if not any(_beats(q, p) for q in unique)]


def _beats(q: Point, p: Point) -> bool:
    """At least as good in everything and better in something."""
    first = (-q.sqnr_db, q.flash_bytes, q.instructions)
    second = (-p.sqnr_db, p.flash_bytes, p.instructions)
    return first != second and all(a <= b for a, b in zip(first, second, strict=True))


def _overshoot(point: Point, budget: Budget) -> float:
    """By what ratio the worst limit of size is exceeded."""
    ratios = [
        size / limit
        for size, limit in (
            (point.flash_bytes, budget.flash_bytes),
            (point.instructions, budget.instructions),
        )
        if limit is not None
    ]
    return max(ratios, default=0.0)


def _last(evaluate: Callable[[int], Point], holds: Callable[[Point], bool]) -> Point:
    """The point of the highest level that holds; level 0 always does."""
    best, low, high = None, 0, LEVELS
    while high - low > 1:
        middle = (low + high) // 2
        point = evaluate(middle)
        if holds(point):
            best, low = point, middle
        else:
            high = middle
    return best or evaluate(0)


def _first(evaluate: Callable[[int], Point], holds: Callable[[Point], bool]) -> Point | None:
    """The point of the lowest level that holds, None if no level does."""
    best, low, high = None, -1, LEVELS
    while high - low > 1:
        middle = (low + high) // 2
        point = evaluate(middle)
        if holds(point):
            best, high = point, middle
        else:
            low = middle
    return best
