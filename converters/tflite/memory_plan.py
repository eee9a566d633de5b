"""TFLM's plan of the arena: where its greedy planner puts activations and scratch.

The largest buffer comes first, and each goes to the lowest gap between those that are alive with
it. Gaps remain, so that the arena may be larger than what is alive at once (`arena.peak_bytes`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from tflm_sparsesep.converters.tflite import arena
from tflm_sparsesep.converters.tflite.editor import Subgraph

ALIGNMENT = 16


class Buffer(NamedTuple):
    """Memory from one operator to another, both inclusive."""

    size: int
    first: float
    last: float


def planned_bytes(subgraph: Subgraph, scratch: Mapping[int, int] | None = None) -> int:
    """Return the bytes that TFLM's planner takes for the activations of a subgraph.

    `scratch` holds the bytes that operators add, by position. Structures of the interpreter and
    variables, which TFLM keeps elsewhere in the arena, do not count.
    """
    alive = arena.lifetimes(subgraph)
    # Tensors that a pass has just made are not listed yet: they come last in the file.
    order = {t: i for i, t in enumerate(dict.fromkeys((*subgraph.tensors, *alive)))}
    buffers = [
        Buffer(arena.tensor_bytes(tensor), *alive[tensor])
        for tensor in sorted(alive, key=lambda t: order[t])
        if not tensor.is_variable
    ]
    buffers += [Buffer(size, at, at) for at, size in (scratch or {}).items()]
    return greedy_bytes(buffers)


def greedy_bytes(buffers: list[Buffer]) -> int:
    """Return the end of the last buffer in the greedy plan of `buffers`."""
    placed: list[tuple[int, int, Buffer]] = []  # start and end, by start
    by_size = sorted(buffers, key=lambda b: _aligned(b.size))
    for buffer in reversed(by_size):  # the last of equals comes first
        size = _aligned(buffer.size)
        start = 0
        for low, high, other in placed:
            if other.first > buffer.last or other.last < buffer.first:
                continue
            if low - start >= size:
                break
            start = max(start, high)
        placed.append((start, start + size, buffer))
        placed.sort(key=lambda entry: entry[0])
    return max((end for _, end, _ in placed), default=0)


def _aligned(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT
