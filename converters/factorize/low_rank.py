"""Approximate W by two thin matrices (singular value decomposition).

W [rows, cols] ~ left [rows, rank] right [rank, cols]. With the Cholesky factor G = L L^T of the
inputs' Gram matrix, ||(W - W') L||_F^2 is the outputs' mean squared error, so the best W' of a rank
is found on W L (Eckart and Young) and taken back: right = S V^T L^-1. With `gram.identity` it is
the plain SVD, SparseSep's baseline (SenSys 2016; J. Xue et al., Interspeech 2013).

MACs: rank (rows + cols). Bytes in int8: the same. It pays below rank rows cols / (rows + cols).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import linalg

from tflm_sparsesep.converters.errors import ConfigError
from tflm_sparsesep.converters.factorize.gram import Gram, Matrix


@dataclass(frozen=True)
class LowRank:
    """Two factors.

    Attributes:
        left: float64[rows, rank].
        right: float64[rank, cols].
    """

    left: Matrix
    right: Matrix

    @property
    def weights(self) -> Matrix:
        """Return the product of both, [rows, cols]."""
        return self.left @ self.right

    @property
    def macs(self) -> int:
        """Return the multiply-adds per input vector, equal to the weights stored."""
        return self.left.size + self.right.size


def svd(weights: Matrix, rank: int, gram: Gram) -> LowRank:
    """Return the best factors of a rank for inputs with a Gram matrix.

    Args:
        weights: float64[rows, cols].
        rank: 1 to min(rows, cols).
        gram: of the inputs, damped, or `gram.identity(cols)`.

    Raises:
        ConfigError: the rank is out of range, or the Gram matrix is singular.

    Example:
        >>> from tflm_sparsesep.converters.factorize.gram import identity
        >>> svd(np.array([[2.0, 4.0], [1.0, 2.0]]), 1, identity(2)).weights.round(6).tolist()
        [[2.0, 4.0], [1.0, 2.0]]
    """
    if not 1 <= rank <= min(weights.shape):
        raise ConfigError(f"rank is {rank}; accepted: 1 to {min(weights.shape)}")
    factor = gram.cholesky
    u, s, v = linalg.svd(weights @ factor, full_matrices=False)
    # The root of each singular value on either side, so that both factors quantize alike.
    root = np.sqrt(s[:rank])
    right = linalg.solve_triangular(factor, (root[:, None] * v[:rank]).T, lower=True, trans="T").T
    return LowRank(u[:, :rank] * root, right)


def rank_for(weights: int, rows: int, cols: int) -> int:
    """Return the largest rank whose factors hold at most `weights` weights; 0 if none does."""
    return min(weights // (rows + cols), rows, cols)
