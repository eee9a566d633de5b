"""Labels: the class of each sample, which a model's largest score should be of."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from tflm_sparsesep.converters.errors import ConfigError

Array = npt.NDArray[Any]


def checked_labels(labels: Array, *, samples: int, classes: int) -> Array:
    """Return labels as integers [samples].

    Raises:
        ConfigError: they are not one integer for each sample, or not among the classes.

    Example:
        >>> checked_labels(np.array([[2], [0]]), samples=2, classes=3)
        array([2, 0])
    """
    found = np.asarray(labels).reshape(-1)
    if len(found) != samples or not np.issubdtype(found.dtype, np.integer):
        raise ConfigError(
            f"labels are {found.dtype}{list(np.shape(labels))}, accepted: {samples} integers, one "
            "for each sample"
        )
    if found.min(initial=0) < 0 or found.max(initial=0) >= classes:
        raise ConfigError(
            f"labels are {found.min()} to {found.max()}, accepted: 0 to {classes - 1}, as the "
            f"model has {classes} scores"
        )
    return found


def accuracy(scores: Array, labels: Array) -> float:
    """Return the fraction of samples whose label is that of the largest score.

    Args:
        scores: [samples, ...], flattened to classes.
        labels: integers [samples].
    """
    flat = scores.reshape(len(labels), -1)
    return float(np.mean(flat.argmax(axis=1) == labels))
