"""Means over seeds of the rows of results.json."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from statistics import mean, stdev

from store import Row


@dataclass(frozen=True)
class Spread:
    """Mean and sample standard deviation (None of a single value)."""

    mean: float
    deviation: float | None

    @classmethod
    def of(cls, values: Iterable[float]) -> Spread:
        """Of at least one value."""
        found = list(values)
        return cls(mean(found), stdev(found) if len(found) > 1 else None)

    def __str__(self) -> str:
        return f"{self.mean:.2f}" + ("" if self.deviation is None else f" ± {self.deviation:.2f}")


@dataclass(frozen=True)
class Group:
    """All seeds of one model, method, pattern and goal."""

    rows: tuple[Row, ...]

    @property
    def loss(self) -> Spread:
        """Points of accuracy lost: float dense network less int8 in TFLM, seed by seed."""
        return Spread.of(loss(row) for row in self.rows)

    @property
    def zeros(self) -> float:
        """Mean fraction of zeros."""
        return mean(float(row["zeros"]) for row in self.rows)

    @property
    def packed_bytes(self) -> float:
        """Mean bytes of weights as stored."""
        return mean(float(row["packed_bytes"]) for row in self.rows)


def loss(row: Row) -> float:
    """Points of accuracy that one run lost against the float dense network of its seed."""
    return float(100 * (row["dense_accuracy"] - row["int8_tflm_accuracy"]))


def groups(rows: list[Row], model: str) -> dict[tuple[str, str, float | None], Group]:
    """By method, pattern and goal; runs whose dense network is still missing are left out."""
    found: dict[tuple[str, str, float | None], list[Row]] = {}
    for row in rows:
        if row["model"] == model and row["dense_accuracy"] is not None:
            found.setdefault((row["method"], row["pattern"], row["zeros_goal"]), []).append(row)
    return {key: Group(tuple(some)) for key, some in found.items()}


def differences(rows: list[Row], better: str, worse: str) -> dict[tuple[str, str, float], Spread]:
    """Points by which `better` is above `worse` in int8, seed by seed, where both have run.

    Keys: model, pattern, goal.
    """
    runs = {
        (row["model"], row["pattern"], row["zeros_goal"], row["seed"], row["method"]): 100
        * row["int8_tflm_accuracy"]
        for row in rows
    }
    found: dict[tuple[str, str, float], list[float]] = {}
    for (*setting, seed, method), accuracy in runs.items():
        other = runs.get((*setting, seed, worse))
        if method == better and other is not None:
            found.setdefault((setting[0], setting[1], setting[2]), []).append(accuracy - other)
    return {key: Spread.of(values) for key, values in found.items()}
