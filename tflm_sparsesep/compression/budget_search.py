"""Levels of compression, and the search for the one at which all budgets hold.

A level sets limits for the choice of factorizations (`form_choice`): level 0 changes nothing, each
next level demands a little less quality or size. Quality, bytes and instructions are expected to
fall from level to level. A returned level has been measured, so it is within the budget even where
this does not hold.

- With `min_output_sqnr_db` or `max_accuracy_drop`, a level is a noise limit, in steps of 0.5 dB.
  Levels are tried from the top, and the first one that keeps the quality is taken (`model_search`):
  measured quality rises and falls by several dB from one level to the next, so that bisection would
  miss what is possible.
- Without, a level is a share of the size budgets, as measured sizes differ from expected ones. The
  lowest level that is small enough has the best quality.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

from tflm_sparsesep.converters.errors import ConfigError

LEVELS = 121
_DB_PER_LEVEL = 0.5
# Output SQNR expected at level 0 of a search for quality.
_BEST_DB = 60.0
LEAST_DB = 1e-3
# Shares of a size budget: level 1, and the ratio of successive levels.
_FIRST_SHARE, _SHARE_RATIO = 1.10, 0.985
# Expected sizes are a few per cent off: with a quality to keep as well, aim a little below.
_MARGIN = 0.97

# Of the levels of a search for quality every second is tried, the same ones whatever the limit.
_STRIDE = 2
# What careful fits may gain over quick ones: at most, and for each layer that is not dense. One
# layer alone gains less than 1 dB; several make up for the errors of one another.
_CAREFUL_DB, _CAREFUL_POINTS = 8.0, 8.0
_CAREFUL_DB_PER_LAYER = 2.0

# Names of limits of size, which are names of `Point`'s fields, too.
_SIZES = ("flash_bytes", "arena_bytes", "instructions")


@dataclass(frozen=True)
class Budget:
    """Limits that a compressed model must keep, at least one; None is no limit.

    Attributes:
        min_output_sqnr_db: signal-to-noise ratio of the outputs. The signal is what the original's
            outputs vary about their mean over samples (`output_quality`).
        flash_bytes: of the .tflite file.
        instructions: estimate for one inference of the entire model
            (`model_cost.instructions`).
        max_accuracy_drop: loss against the original model in percentage points; needs labels.
        arena_bytes: the activations' peak: those alive at once, with scratch
            (`model_cost.arena_bytes`). TFLM's arena also holds its own structures.

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
        """Return True if quality is limited, False if it is maximized."""
        return self.min_output_sqnr_db is not None or self.max_accuracy_drop is not None

    def keeps_quality(self, point: Point) -> bool:
        """Return True if SQNR and accuracy are within their limits."""
        if self.min_output_sqnr_db is not None and point.sqnr_db < self.min_output_sqnr_db:
            return False
        if self.max_accuracy_drop is None:
            return True
        return point.accuracy_drop is not None and point.accuracy_drop <= self.max_accuracy_drop

    def may_keep_quality(self, point: Point, *, changed: int) -> bool:
        """Return True if careful fits may keep the quality where quick ones come to `point`.

        Args:
            point: of the quick fits.
            changed: layers that are not dense.
        """
        db, points = self.min_output_sqnr_db, self.max_accuracy_drop
        gain = min(_CAREFUL_DB, changed * _CAREFUL_DB_PER_LAYER)
        eased = replace(
            self,
            min_output_sqnr_db=None if db is None else max(db - gain, LEAST_DB),
            max_accuracy_drop=None if points is None else points + _CAREFUL_POINTS,
        )
        return eased.keeps_quality(point)

    def is_small(self, point: Point) -> bool:
        """Return True if all sizes are within their limits."""
        return not self.excess(point)

    def excess(self, point: Point) -> list[str]:
        """Return the limits that `point` exceeds, as "flash_bytes is 90,000, limit 64,000"."""
        return [
            f"{name} is {getattr(point, name):,}, limit {limit:,}"
            for name, limit in self._sizes()
            if getattr(point, name) > limit
        ]

    def overshoot(self, point: Point) -> float:
        """Return the largest ratio of a size to its limit; 0 without size limits."""
        return max((getattr(point, name) / limit for name, limit in self._sizes()), default=0.0)

    def _sizes(self) -> list[tuple[str, int]]:
        limits = [(name, getattr(self, name)) for name in _SIZES]
        return [(name, limit) for name, limit in limits if limit is not None]


@dataclass(frozen=True)
class Point:
    """The measurements of one trial.

    Attributes:
        level: of the search.
        sqnr_db: of the outputs about their mean; inf if they did not change.
        flash_bytes, instructions, arena_bytes: as in `Budget`.
        accuracy_drop: in percentage points, negative for a gain; None without labels.
        forms: the factorization of each layer.
        plain_sqnr_db: with the outputs' whole power as the signal, a constant included.
    """

    level: int
    sqnr_db: float
    flash_bytes: int
    instructions: int
    arena_bytes: int = 0
    accuracy_drop: float | None = None
    forms: tuple[str, ...] = ()
    plain_sqnr_db: float = math.inf

    def __str__(self) -> str:
        quality = "outputs unchanged"
        if self.sqnr_db != math.inf:
            quality = f"{self.sqnr_db:.1f} dB about the mean ({self.plain_sqnr_db:.1f} dB plain)"
        if self.accuracy_drop is not None:
            quality += f", {self.accuracy_drop:.2f} points lost"
        return (
            f"{quality}, {self.flash_bytes:,} bytes, {self.instructions:,} instructions, "
            f"{self.arena_bytes:,} bytes of activations at their peak"
        )

    def to_json(self) -> dict[str, Any]:
        """Return the fields as plain values; an infinite SQNR is None."""
        plain = {
            name: value if math.isfinite(value) else None
            for name, value in vars(self).items()
            if name in ("sqnr_db", "plain_sqnr_db")
        }
        return {**vars(self), **plain, "forms": list(self.forms)}


@dataclass(frozen=True)
class Limits:
    """Limits of a whole model.

    With a limit on noise the cheapest choice is taken, else the one of least noise.

    Attributes:
        noise: added to the outputs by all layers, relative to their variance.
        flash_bytes: of the file.
        instructions: of one inference.
    """

    noise: float = math.inf
    flash_bytes: float = math.inf
    instructions: float = math.inf


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


def levels_downward() -> range:
    """Return the levels of a search for quality in the order in which they are tried."""
    return range(LEVELS - 1, 0, -_STRIDE)


def smallest_share(evaluate: Callable[[int], Point], budget: Budget) -> Point:
    """Return the best point within limits of size alone, or the closest one where none is.

    Args:
        evaluate: builds and measures a level; called for about 10 levels, each once.
        budget: to keep.

    Example:
        >>> def model(level):
        ...     return Point(level, 60.0 - level, 100 - level, 0)
        >>> smallest_share(model, Budget(flash_bytes=80)).level
        20
    """
    evaluate = functools.cache(evaluate)
    start = 1 + round(math.log(1 / _FIRST_SHARE, _SHARE_RATIO))
    below = edge(lambda i: not budget.is_small(evaluate(i)), -1, LEVELS, start)
    return evaluate(min(below + 1, LEVELS - 1))


def edge(is_below: Callable[[int], bool], low: int, high: int, start: int) -> int:
    """Return the last level from `low` to before `high` below the edge; `low` is taken to be.

    Steps from `start` double in length, then bisection follows.

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
    """Return the points that no other beats in SQNR, bytes and instructions, smallest first."""
    unique = sorted(set(points), key=lambda p: (p.flash_bytes, p.instructions, p.level))
    return [p for p in unique if not any(_beats(q, p) for q in unique)]


def _beats(q: Point, p: Point) -> bool:
    """Return True if `q` is at least as good in everything and better in something."""
    first = (-q.sqnr_db, q.flash_bytes, q.instructions)
    second = (-p.sqnr_db, p.flash_bytes, p.instructions)
    return first != second and all(a <= b for a, b in zip(first, second, strict=True))
