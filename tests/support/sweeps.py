"""Random sweeps: a fixed sample in `make test`, far more cases of a new seed in `make soak`."""

from __future__ import annotations

import os
from collections.abc import Iterator

import numpy as np

SOAK = os.environ.get("HYPOTHESIS_PROFILE") == "soak"

_TIMES_AS_MANY = 20


def more(count: int) -> int:
    """Return how many cases to draw where `make test` draws `count`."""
    return count * _TIMES_AS_MANY if SOAK else count


def seed_of(fixed: int) -> int:
    """Return `fixed`, or in a soak the number SWEEP_SEED, or a new one, which is printed."""
    if not SOAK:
        return fixed
    seed = int(os.environ.get("SWEEP_SEED") or np.random.SeedSequence().generate_state(1)[0])
    print(f"SWEEP_SEED={seed}")
    return seed


def sweep(seed: int, count: int) -> Iterator[np.random.Generator]:
    """Yield a source of random numbers for each case."""
    for child in np.random.SeedSequence(seed_of(seed)).spawn(more(count)):
        yield np.random.default_rng(child)
