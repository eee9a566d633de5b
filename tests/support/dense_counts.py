"""Estimates of dense layers against the counts of shapes outside the fit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def held_out_errors(
    data: dict[str, Any], target: str, estimate: Callable[[str, list[int]], int]
) -> list[float]:
    """Return the relative error of each shape outside the fit of a file of counts."""
    held_out = data["held_out"]
    assert not any(shape in data["shapes"] for shape in held_out["shapes"])
    return [
        estimate(target, shape) / count - 1
        for shape, count in zip(held_out["shapes"], held_out["targets"][target], strict=True)
    ]


def worst(errors: list[float]) -> float:
    """Return the largest error, as the files state it."""
    return round(max(map(abs, errors)), 4)
