"""Samples of a network, and batches of them as `fit` takes them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Samples = npt.NDArray[Any]
Labels = npt.NDArray[np.int32]
Augment = Callable[[Samples, np.random.Generator], Samples]


@dataclass(frozen=True)
class Data:
    """Inputs [samples, height, width, channels] and their classes int32[samples]."""

    x_train: Samples
    y_train: Labels
    x_test: Samples
    y_test: Labels


def kept(path: Path, make: Callable[[], Data]) -> Data:
    """Return what `make` returns, from the .npz file at `path` if it was made before."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_suffix(".part.npz")
        np.savez(unfinished, **vars(make()))
        unfinished.replace(path)
    with np.load(path) as found:
        return Data(**{name: found[name] for name in found.files})


def batches(
    x: Samples, y: Labels, size: int, seed: int, augment: Augment
) -> Iterator[tuple[npt.NDArray[np.float32], Labels]]:
    """Yield whole batches without end, in another order each epoch.

    Args:
        x: inputs; those left over differ from epoch to epoch.
        y: their classes.
        size: samples in a batch.
        seed: of the order and of what `augment` draws.
        augment: given a batch and a generator, the batch changed at random.
    """
    rng = np.random.default_rng(seed)
    while True:
        order = rng.permutation(len(x))
        for start in range(0, len(x) - size + 1, size):
            picks = order[start : start + size]
            yield augment(x[picks], rng).astype(np.float32), y[picks]
