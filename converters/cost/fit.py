"""Fit of the coefficients of a sum of terms to measured counts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Vector = npt.NDArray[np.float64]


def fit(
    terms: Sequence[Sequence[float]], counts: Sequence[float], *, nonnegative: bool = True
) -> Vector:
    """Return the coefficients with the least squares of the relative error.

    Args:
        terms: [measurements, terms], nonnegative.
        counts: the result of each measurement, positive.
        nonnegative: of the coefficients.

    Example:
        >>> fit([[1, 10], [1, 20], [1, 30]], [25, 45, 65]).round(6).tolist()
        [5.0, 2.0]
    """
    relative = np.array(terms, np.float64) / np.array(counts, np.float64)[:, None]
    scale = relative.max(axis=0)
    scale = np.where(scale > 0, scale, 1.0)
    ones = np.ones(len(counts))
    if nonnegative:
        from scipy.optimize import nnls  # slow to import, and most programs never fit

        found, _ = nnls(relative / scale, ones)
    else:
        found, *_ = np.linalg.lstsq(relative / scale, ones, rcond=None)
    coefficients: Vector = found / scale
    return coefficients
