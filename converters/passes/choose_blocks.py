"""The choice of the blocks of a model to fuse, by its instructions and its arena together."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import NamedTuple

from tflm_sparsesep.converters.cost.choose_layout import Prefer
from tflm_sparsesep.converters.decisions import LayerDecision


class Choice(NamedTuple):
    """The blocks to fuse, by number in ascending order, and the arena that the model then needs."""

    blocks: tuple[int, ...]
    arena: int


def instructions_of(decision: LayerDecision) -> int:
    """Return the instructions of a layer as decided; 0 if no cost is known."""
    found = decision.sparse_instructions if decision.rewritten else decision.dense_instructions
    return found or 0


def choose(
    total: int,
    costs: Sequence[int],
    arena_of: Callable[[tuple[int, ...]], int],
    prefer: Prefer | None = None,
) -> Choice:
    """Return the set of blocks with the smallest product of instructions and arena.

    With prefer="speed", instructions come first. The search starts with every block fused, and with
    none. It takes blocks in or out, one or two neighbors at a time, where that lowers the price,
    until nothing does: two neighbors may be alive where the arena is fullest.

    Args:
        total: instructions of the model without blocks.
        costs: what each block adds to them; below 0 where it saves some.
        arena_of: bytes of the arena with a set of blocks.
        prefer: "flash", "speed" or None.
    """
    arena_of, count = functools.cache(arena_of), len(costs)

    def price(blocks: frozenset[int]) -> tuple[float, float]:
        instructions = total + sum(costs[i] for i in blocks)
        arena = arena_of(tuple(sorted(blocks)))
        return (instructions, arena) if prefer == "speed" else (instructions * arena, instructions)

    dearest_first = sorted(range(count), key=lambda i: -costs[i])
    moves = [{i} for i in dearest_first] + [{i - 1, i} for i in range(1, count)]

    def improved(blocks: frozenset[int]) -> frozenset[int]:
        for move in moves:
            changed = blocks ^ move
            blocks = changed if price(changed) < price(blocks) else blocks
        return blocks

    found: list[frozenset[int]] = []
    for start in (range(0), range(count)):
        blocks = frozenset(start)
        while (better := improved(blocks)) != blocks:
            blocks = better
        found.append(blocks)
    best = min(found, key=price)
    in_order = tuple(sorted(best))
    return Choice(in_order, arena_of(in_order))
