"""Fit of the coefficients of a sum of terms to measured counts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Matrix = npt.NDArray[np.float64]
Vector = npt.NDArray[np.float64]

# Of rounding errors: no entry of a column is above 1.
_LEAST_SLOPE = 1e-12
# For each column; rounding errors could let one enter and leave for ever.
_TURNS = 3


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
    solve = _nonnegative if nonnegative else _least_squares
    found = solve(relative / scale, np.ones(len(counts)))
    coefficients: Vector = found / scale
    return coefficients


def _least_squares(matrix: Matrix, wanted: Vector) -> Vector:
    found, *_ = np.linalg.lstsq(matrix, wanted, rcond=None)
    return found.astype(np.float64)


def _nonnegative(matrix: Matrix, wanted: Vector) -> Vector:
    """Return the nonnegative least squares, as `scipy.optimize.nnls` does.

    That takes longer to import than the rest of a conversion. The algorithm is that of C. Lawson
    and R. Hanson, "Solving Least Squares Problems", 1974: columns enter one by one, those whose
    coefficient would become negative leave.
    """
    found = np.zeros(matrix.shape[1])
    used = np.zeros(matrix.shape[1], np.bool_)
    for _ in range(_TURNS * matrix.shape[1]):
        slope = np.where(used, 0.0, matrix.T @ (wanted - matrix @ found))
        if slope.max() <= _LEAST_SLOPE:
            break
        used[slope.argmax()] = True
        while True:
            solved = np.zeros_like(found)
            solved[used] = _least_squares(matrix[:, used], wanted)
            negative = np.flatnonzero(solved < 0)
            if not negative.size:
                break
            shares = found[negative] / (found[negative] - solved[negative])
            found = found + shares.min() * (solved - found)
            used[negative[shares.argmin()]] = False
            found[~used] = 0
        found = solved
    return found
