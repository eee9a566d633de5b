"""How far to compress: the search for the level at which all budgets hold.

A level sets limits for the choice of forms (`form_choice`): level 0 changes nothing, each next one
asks for somewhat less. Each is tried by a function that says what becomes of the model; output
quality, bytes and instructions are taken to fall from level to level. What is returned has been
tried, so where that does not quite hold, the result is still within the budget.

- With `min_output_sqnr_db` or `max_accuracy_drop`: a level is a limit of noise, half a dB apart.
  The highest level that keeps the quality is searched. If that one is still too large, so is every
  other that keeps it.
- Without: a level is a share of the budget's sizes, as the sizes that come out are not quite those
  expected. The lowest level that is small enough is searched: the one of best quality.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from tflm_sparsesep.compression.form_choice import Limits
from tflm_sparsesep.converters.errors import ConfigError

LEVELS = 121
_DB_PER_LEVEL = 0.5
# Output SQNR expected at level 0 of a search for quality, and where only accuracy is asked for.
_BEST_DB = 60.0
_USUAL_DB = 15.0
# Of a size: level 1, and each next level.
_FIRST_SHARE, _SHARE_RATIO = 1.10, 0.985
# Sizes are a few per cent off: with a quality to keep as well, what is chosen aims a little below.
_MARGIN = 0.97

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


def limits(level: int, budget: Budget) -> Limits:
    """Return what a level from 1 up demands of a choice of factorizations.

    Example:
        >>> limits(20, Budget(min_output_sqnr_db=25)).noise
        1e-05
        >>> found = limits(20, Budget(flash_bytes=10_000))
        >>> round(found.flash_bytes), found.noise
        (8254, inf)
    """
    share = _FIRST_SHARE * _SHARE_RATIO ** (level - 1)
    noise = math.inf
    if budget.asks_for_quality:
        share = _MARGIN
        noise = 10 ** (-(_BEST_DB - _DB_PER_LEVEL * level) / 10)
    flash, time = (math.inf if b is None else b for b in (budget.flash_bytes, budget.instructions))
    return Limits(noise, share * flash, share * time)


def search(evaluate: Callable[[int], Point], budget: Budget) -> Point:
    """The point to take, or the one that comes closest where the budget cannot be met.

    `evaluate` is called once for each level that is asked for, some 5 times.

    Example:
        >>> def model(level):
        ...     return Point(level, 60.0 - level, 100 - level, 0)
        >>> search(model, Budget(min_output_sqnr_db=25)).level
        35
        >>> search(model, Budget(flash_bytes=80)).level
        20
    """
    if budget.asks_for_quality:
        level = edge(lambda i: budget.keeps_quality(evaluate(i)), 0, LEVELS, start_level(budget))
        return evaluate(level)
    below = edge(lambda i: not budget.is_small(evaluate(i)), -1, LEVELS, start_level(budget))
    return evaluate(min(below + 1, LEVELS - 1))


def start_level(budget: Budget) -> int:
    """Where the level to find is expected."""
    if not budget.asks_for_quality:
        return 1 + round(math.log(1 / _FIRST_SHARE, _SHARE_RATIO))
    asked = budget.min_output_sqnr_db
    expected = round((_BEST_DB - (_USUAL_DB if asked is None else asked)) / _DB_PER_LEVEL)
    return min(max(expected, 1), LEVELS - 1)


def edge(is_below: Callable[[int], bool], low: int, high: int, start: int) -> int:
    """The last level from `low` to before `high` that is below the edge; `low` is taken to be.

    Steps from `start`, each twice as long, then bisection.

    Example:
        >>> edge(lambda level: level < 42, 0, 100, 40)
        41
    """
    step, sides = 1, set()
    at = start
    while high - low > 1:
        at = min(max(at, low + 1), high - 1)
        below = is_below(at)
        low, high = (at, high) if below else (low, at)
        sides.add(below)
        if len(sides) > 1:
            at = (low + high) // 2
        else:
            at, step = (at + step if below else at - step), 2 * step
    return low


def pareto(points: Iterable[Point]) -> list[Point]:
    """The points that no other beats in SQNR, bytes and instructions at once, smallest first."""
    unique = sorted(set(points), key=lambda p: (p.flash_bytes, p.instructions, p.level))
    return [p for p in unique if not any(_beats(q, p) for q in unique)]


def _beats(q: Point, p: Point) -> bool:
    """At least as good in everything and better in something."""
    first = (-q.sqnr_db, q.flash_bytes, q.instructions)
    second = (-p.sqnr_db, p.flash_bytes, p.instructions)
    return first != second and all(a <= b for a, b in zip(first, second, strict=True))
