"""The memory that the activations of a model need at once."""

from __future__ import annotations

import itertools
import math

from tflm_sparsesep.converters.tflite import types as tensor_types
from tflm_sparsesep.converters.tflite.editor import Operator, Subgraph, Tensor


def tensor_bytes(tensor: Tensor) -> int:
    """Return the bytes of an activation; 0 if its type has no fixed size."""
    return tensor_types.byte_size(tensor.type, tensor.shape) or 0


def peak_bytes(subgraph: Subgraph, scratch: dict[int, int] | None = None) -> int:
    """Return the most bytes of activations that are alive during one operator (`alive_bytes`)."""
    return max(alive_bytes(subgraph, scratch), default=0)


def alive_bytes(subgraph: Subgraph, scratch: dict[int, int] | None = None) -> list[int]:
    """Return the bytes of activations that are alive during each operator, in execution order.

    An activation is alive from the operator that writes it (the start for inputs) to the last
    operator that reads it (the end for outputs and variables). A planner needs at least this arena.
    `scratch` holds the bytes that operators add, by position.
    """
    count = len(subgraph.operators)
    changes = [0] * (count + 2)  # of the bytes alive, before each operator
    for tensor, (first, last) in lifetimes(subgraph).items():
        changes[int(max(first, 0))] += tensor_bytes(tensor)
        changes[int(max(min(last, count), -1)) + 1] -= tensor_bytes(tensor)
    alive = itertools.accumulate(changes[:count])
    extra = scratch or {}
    return [size + extra.get(at, 0) for at, size in enumerate(alive)]


def lifetimes(subgraph: Subgraph) -> dict[Tensor, tuple[float, float]]:
    """Return the first and the last operator during which each activation is alive.

    Infinite numbers stand for the start and the end of an inference.
    """
    first: dict[Tensor, float] = {}
    last: dict[Tensor, float] = {}
    for position, op in enumerate(subgraph.operators):
        for tensor in _activations(op):
            first.setdefault(tensor, position)
            last[tensor] = position
    for tensor in subgraph.inputs:
        first[tensor] = -math.inf
        last.setdefault(tensor, -math.inf)
    for tensor in (*subgraph.outputs, *(t for t in first if t.is_variable)):
        first.setdefault(tensor, -math.inf)
        last[tensor] = math.inf
    return {tensor: (start, last[tensor]) for tensor, start in first.items()}


def _activations(op: Operator) -> list[Tensor]:
    return [t for t in op.tensors if t is not None and not t.is_constant]
