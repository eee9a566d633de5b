"""The quality of changed outputs: signal-to-noise ratios about the mean, and plain ones.

The signal of an output is what varies from sample to sample. Its mean over the samples, of each
element, is no signal: a constant in place of the output would reproduce it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


def sqnr_db(wanted: Sequence[Array], found: Sequence[Array]) -> float:
    """Return 10 log10(sum (wanted - mean)^2 / sum (found - wanted)^2) over all outputs.

    `mean` is that of each element of an output over samples. The mean of the error is noise, too.

    Args:
        wanted: outputs [samples, ...], real numbers.
        found: the same of another model.

    Returns:
        inf where nothing differs, -inf where only constants do, nan for one sample that differs,
        as the mean is the sample itself.

    Example:
        >>> wanted, found = np.array([[10.0], [12.0]]), np.array([[10.0], [11.9]])
        >>> round(sqnr_db([wanted], [found]), 1), round(plain_sqnr_db([wanted], [found]), 1)
        (23.0, 43.9)
    """
    if max(map(len, wanted), default=0) == 1 and _noise(wanted, found):
        return math.nan
    return _ratio_db([w - w.mean(axis=0) for w in wanted], _noise(wanted, found))


def plain_sqnr_db(wanted: Sequence[Array], found: Sequence[Array]) -> float:
    """Return the same with the whole power of the outputs as the signal, means included."""
    return _ratio_db(wanted, _noise(wanted, found))


def _noise(wanted: Sequence[Array], found: Sequence[Array]) -> float:
    return sum(float(np.square(f - w).sum()) for w, f in zip(wanted, found, strict=True))


def _ratio_db(signal: Sequence[Array], noise: float) -> float:
    if noise == 0:
        return math.inf
    power = sum(float(np.square(s).sum()) for s in signal)
    return 10 * math.log10(power / noise) if power else -math.inf
