"""How far to compress: the search for the level at which all budgets hold.

A level says how much quality may be given away for what is saved (`form_choice`): level 0 nothing,
each next one somewhat more. Each is tried by a function that says what becomes of the model; output
quality, bytes and instructions are taken to fall from level to level. What is returned has been
tried, so where that does not quite hold, the result is still within the budget.

- With `min_output_sqnr_db` or `max_accuracy_drop`: the highest level that keeps it, found by
  bisection. If that one is still too large, so is every other that keeps it.
- Without: the lowest level that is small enough, which is the one of best quality.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from tflm_sparsesep.converters.errors import ConfigError

LEVELS = 113

# Names of limits of size, which are names of `Point`'s fields, too.
_SIZES = ("flash_bytes", "arena_bytes", "instructions")


@dataclass(frozen=True)
class Budget:
    """Limits that a compressed model must keep; None for no limit, but one is needed.

    min_output_sqnr_db: of the outputs against the original model's, in dB.
    flash_bytes: of the .tflite file.
    instructions: estimated, per inference, of fully-connected and convolution layers
    (`model_cost.instructions`).
    max_accuracy_drop: points (per cent of the samples) that may be lost against the original
    model; needs labels.
    arena_bytes: of activations and scratch at once (`model_cost.arena_bytes`).

    Raises:
        ConfigError: no limit, or one that is not a positive finite number.
    """

    min_output_sqnr_db: float | None = None
    flash_bytes: int | None = None
    instructions: int | None = None
    max_accuracy_drop: float | None = None
    arena_bytes: int | None = None

    def __post_init__(self) -> None:
        limits = vars(self)
        if all(value is None for value in limits.values()):
            raise ConfigError(f"the budget is empty; accepted: at least one of {', '.join(limits)}")
        for name, value in limits.items():
            if value is not None and not (math.isfinite(value) and value > 0):
                raise ConfigError(f"{name} is {value!r}; accepted: a finite number above 0")

    @property
    def asks_for_quality(self) -> bool:
        """Whether quality is limited, rather than as good as sizes allow."""
        return self.min_output_sqnr_db is not None or self.max_accuracy_drop is not None

    def keeps_quality(self, point: Point) -> bool:
        """Whether SQNR and accuracy suffice."""
        if self.min_output_sqnr_db is not None and point.sqnr_db < self.min_output_sqnr_db:
            return False
        if self.max_accuracy_drop is None:
            return True
        return point.accuracy_drop is not None and point.accuracy_drop <= self.max_accuracy_drop

    def is_small(self, point: Point) -> bool:
        """Whether bytes and instructions are within their limits."""
        return not self.excess(point)

    def excess(self, point: Point) -> list[str]:
        """The limits that `point` exceeds, as "flash_bytes is 90,000, limit 64,000"."""
        return [
            f"{name} is {getattr(point, name):,}, limit {limit:,}"
            for name, limit in self._sizes()
            if getattr(point, name) > limit
        ]

    def overshoot(self, point: Point) -> float:
        """By what ratio the worst limit of size is exceeded; 0 without such limits."""
        return max((getattr(point, name) / limit for name, limit in self._sizes()), default=0.0)

    def _sizes(self) -> list[tuple[str, int]]:
        limits = [(name, getattr(self, name)) for name in _SIZES]
        return [(name, limit) for name, limit in limits if limit is not None]


@dataclass(frozen=True)
class Point:
    """What one trial gave.

    level: of the search. sqnr_db: of the outputs; inf where nothing changed. accuracy_drop: in
    points, negative for a gain; None without labels. The sizes are as in `Budget`. forms: what
    became of each layer.
    """

    level: int
    sqnr_db: float
    flash_bytes: int
    instructions: int
    arena_bytes: int = 0
    accuracy_drop: float | None = None
    forms: tuple[str, ...] = ()

    def __str__(self) -> str:
        quality = "outputs unchanged" if math.isinf(self.sqnr_db) else f"{self.sqnr_db:.1f} dB"
        if self.accuracy_drop is not None:
            quality += f", {self.accuracy_drop:.2f} points lost"
        return (
            f"{quality}, {self.flash_bytes:,} bytes, {self.instructions:,} instructions, "
            f"{self.arena_bytes:,} bytes of arena"
        )

    def to_json(self) -> dict[str, Any]:
        """The fields as plain values; an infinite SQNR is None."""
        sqnr = self.sqnr_db if math.isfinite(self.sqnr_db) else None
        return {**vars(self), "sqnr_db": sqnr, "forms": list(self.forms)}


def search(evaluate: Callable[[int], Point], budget: Budget) -> Point:
    """The point to take, or the one that comes closest where the budget cannot be met.

    `evaluate` is called once for each level that is asked for, at most 8 times.

    Example:
        >>> def model(level):
        ...     return Point(level, 60.0 - level, 100 - level, 0)
        >>> search(model, Budget(min_output_sqnr_db=25)).level
        35
        >>> search(model, Budget(flash_bytes=80)).level
        20
    """
    if budget.asks_for_quality:
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
        return min(ends, key=budget.overshoot)
    if not budget.asks_for_quality:
        return max(good, key=lambda p: p.sqnr_db)
    return min(good, key=lambda p: p.flash_bytes * p.instructions)


def pareto(points: Iterable[Point]) -> list[Point]:
    """The points that no other beats in SQNR, bytes and instructions at once, smallest first."""
    unique = sorted(set(points), key=lambda p: (p.flash_bytes, p.instructions, p.level))
    return [p for p in unique if not any(_beats(q, p) for q in unique)]


def _beats(q: Point, p: Point) -> bool:
    """At least as good in everything and better in something."""
    first = (-q.sqnr_db, q.flash_bytes, q.instructions)
    second = (-p.sqnr_db, p.flash_bytes, p.instructions)
    return first != second and all(a <= b for a, b in zip(first, second, strict=True))


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
