"""Check samples and labels for training, and cut them into batches."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tflm_sparsesep.converters.errors import ConfigError


@dataclass(frozen=True)
class Batch:
    """Inputs float32[samples, inputs], and labels int32[samples], if any."""

    inputs: npt.NDArray[np.float32]
    labels: npt.NDArray[np.int32] | None


def check_inputs(x: npt.NDArray[Any], inputs: int) -> npt.NDArray[np.float32]:
    """Return `x` as float32[samples, inputs].

    Raises:
        ConfigError: no samples, samples of another size, or values that are not finite numbers.
    """
    array = np.asarray(x)
    size = array.size // len(array) if array.ndim > 1 and len(array) else 0
    if size != inputs or array.dtype.kind not in "fiub":
        raise ConfigError(
            f"x has shape {array.shape} and dtype {array.dtype}; accepted: [samples, {inputs}] "
            "numbers, at least one sample"
        )
    found: npt.NDArray[np.float32] = array.reshape(len(array), size).astype(np.float32, copy=False)
    bad = found.size - int(np.count_nonzero(np.isfinite(found)))
    if bad:
        raise ConfigError(f"x holds {bad} NaN or infinite values; accepted: finite numbers")
    return found


def check_labels(y: npt.NDArray[Any], samples: int, classes: int) -> npt.NDArray[np.int32]:
    """Return `y` as int32[samples].

    Raises:
        ConfigError: the number of labels differs from `samples`, or they are not integers below
            `classes`.
    """
    labels = np.asarray(y)
    if labels.shape != (samples,) or labels.dtype.kind not in "iu":
        raise ConfigError(
            f"y has shape {labels.shape} and dtype {labels.dtype}; accepted: one integer for each "
            f"of {samples} samples"
        )
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or high >= classes:
        raise ConfigError(f"y holds labels {low} to {high}; accepted: 0 to {classes - 1}")
    return labels.astype(np.int32)


def batches(
    inputs: npt.NDArray[np.float32],
    labels: npt.NDArray[np.int32] | None,
    order: npt.NDArray[np.int64],
    size: int,
) -> Iterator[Batch]:
    """Yield batches of `size` samples in this order; the last may be smaller."""
    for start in range(0, len(order), size):
        chosen = order[start : start + size]
        yield Batch(inputs[chosen], None if labels is None else labels[chosen])
