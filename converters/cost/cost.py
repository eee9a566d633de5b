"""The cost of a layer, of a form of it, or of a model on a device."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from tflm_sparsesep.converters.blob.format import Layout


@dataclass(frozen=True)
class Cost:
    """Flash and time of one layer or of several.

    Attributes:
        bytes: flash of weights, biases and requantization, as stored.
        instructions: executed in one inference (nanoseconds on target `host`).
    """

    bytes: int
    instructions: int

    def beats(self, dense: Cost) -> bool:
        """Return True if this is both smaller and faster than `dense`."""
        return self.bytes < dense.bytes and self.instructions < dense.instructions


@dataclass(frozen=True)
class PackedCost(Cost):
    """The cost of a layer packed in `layout`."""

    layout: Layout


def total(costs: Iterable[Cost]) -> Cost:
    """Return the sum of `costs`.

    Example:
        >>> total([Cost(8, 100), Cost(2, 10)])
        Cost(bytes=10, instructions=110)
    """
    costs = list(costs)
    return Cost(sum(cost.bytes for cost in costs), sum(cost.instructions for cost in costs))
