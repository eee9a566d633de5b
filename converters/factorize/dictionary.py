"""Factorize W ~ B A: a small dense basis times a sparse code.

This is the layer sparsification of SparseSep (SenSys 2016). W [rows, cols], basis B [rows, atoms],
code A [atoms, cols] with few nonzeros. On the device: the sparse layer A, then the dense layer B.
The error is ||(W - B A) L||_F^2 with the inputs' Gram
matrix G = L L^T; without data G is the identity.

- Start: the leading singular vectors of W L, turned by varimax (H. Kaiser, 1958) so that each
  input needs few atoms. An orthonormal B makes A's rows independent: row k is (B^T W)_k made
  sparse by `sparse_refit.admm`.
- Then in turns: B = W G A^T (A G A^T)^-1, the least squares; and atom by atom, as K-SVD does
  (M. Aharon, M. Elad, A. Bruckstein, 2006), the row of A anew on the residual
  R_k = W - sum_{j != k} b_j a_j: the row that matters is b_k^T R_k / ||b_k||^2, in the metric
  ||b_k||^2 G. Its support is improved by exchanges. No turn makes the error larger.

With a diagonal G the rows need no search: the support is the entries of most power.

MACs: rows atoms + nnz(A). Bytes in int8: rows atoms + nnz(A) (1 + index_bytes).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import linalg

from tflm_sparsesep.converters.errors import ConfigError
from tflm_sparsesep.converters.factorize import sparse_refit
from tflm_sparsesep.converters.factorize.gram import Gram, Matrix
from tflm_sparsesep.converters.factorize.support_search import SupportSearch

_VARIMAX_TURNS = 50
_LEAST_GAIN = 1e-3
# 8-bit gaps (`delta8`), the index of most kernels.
INDEX_BYTES = 1.0


@dataclass(frozen=True)
class Dictionary:
    """A basis and a code.

    Attributes:
        basis: float64[rows, atoms].
        code: float64[atoms, cols] with zeros.
    """

    basis: Matrix
    code: Matrix

    @property
    def weights(self) -> Matrix:
        """Return the product of both, [rows, cols]."""
        return self.basis @ self.code

    @property
    def macs(self) -> int:
        """Return the multiply-adds per input vector."""
        return self.basis.size + int(np.count_nonzero(self.code))

    def int8_bytes(self, index_bytes: float = INDEX_BYTES) -> float:
        """Return the bytes of both in int8, with `index_bytes` for each nonzero of the code."""
        return self.basis.size + np.count_nonzero(self.code) * (1 + index_bytes)


def learn(weights: Matrix, gram: Gram, atoms: int, nonzeros: int, *, turns: int = 5) -> Dictionary:
    """Return a basis of `atoms` and a code of `nonzeros` for inputs with a Gram matrix.

    Args:
        weights: float64[rows, cols].
        gram: of the inputs, damped, or `gram.identity(cols)`.
        atoms: 1 to min(rows, cols).
        nonzeros: of the code, over all atoms.
        turns: of basis and code.

    Raises:
        ConfigError: a value is out of range, or the Gram matrix is singular.

    Example:
        Two rows that are multiples of each other: one atom, and the input that matters.

        >>> from tflm_sparsesep.converters.factorize.gram import identity
        >>> found = learn(np.array([[2.0, 0.0], [4.0, 0.0]]), identity(2), 1, 1)
        >>> found.weights.round(6).tolist(), found.macs
        ([[2.0, 0.0], [4.0, 0.0]], 3)
    """
    if not 1 <= atoms <= min(weights.shape):
        raise ConfigError(f"atoms is {atoms}; accepted: 1 to {min(weights.shape)}")
    u = linalg.svd(weights @ gram.cholesky, full_matrices=False)[0]
    basis = u[:, :atoms] @ _varimax(weights.T @ (u[:, :atoms]))
    code = sparse_refit.admm(basis.T @ weights, gram, nonzeros)
    for _ in range(turns):
        basis = _fit_basis(weights, code, gram, basis)
        code = _fit_code(weights, basis, code, gram)
    return Dictionary(_fit_basis(weights, code, gram, basis), code)


def learn_for_bytes(
    weights: Matrix,
    gram: Gram,
    size: int,
    *,
    index_bytes: float = INDEX_BYTES,
    shares: tuple[float, ...] = (0.2, 0.35, 0.5, 0.65),
    turns: int = 5,
) -> Dictionary:
    """Return the best of some numbers of atoms at the same size in bytes.

    Args:
        weights: float64[rows, cols].
        gram: of the inputs, damped.
        size: bytes for basis and code in int8.
        index_bytes: of each nonzero of the code.
        shares: of the bytes, for the basis.
        turns: see `learn`.

    Raises:
        ConfigError: not even one atom fits.
    """
    rows = len(weights)
    most = min(weights.shape)
    counts = {min(int(size * share) // rows, most) for share in shares} - {0}
    if not counts:
        raise ConfigError(f"{size} bytes; accepted: at least {int(rows / max(shares)) + 1}")
    found = [
        learn(weights, gram, atoms, int((size - rows * atoms) / (1 + index_bytes)), turns=turns)
        for atoms in sorted(counts)
    ]
    return min(found, key=lambda d: gram.error(weights - d.weights))


def _fit_basis(weights: Matrix, code: Matrix, gram: Gram, basis: Matrix) -> Matrix:
    """Return the least-squares basis; atoms that the code does not use stay."""
    used = code.any(axis=1)
    found = basis.copy()
    if used.any():
        moments = code[used] @ gram.matrix
        inner = moments @ code[used].T
        found[:, used] = linalg.lstsq(inner, moments @ weights.T)[0].T
    return found


def _fit_code(weights: Matrix, basis: Matrix, code: Matrix, gram: Gram) -> Matrix:
    """Return the code with each atom's row fitted to the residual of the others."""
    code = code.copy()
    power = np.diag(gram.matrix)
    independent = np.array_equal(gram.matrix, np.diag(power))
    projected, inner = basis.T @ weights, basis.T @ basis
    for k in range(len(code)):
        support = np.flatnonzero(code[k])
        if not (inner[k, k] > 0 and support.size):
            continue
        others = inner[k] @ code - inner[k, k] * code[k]
        target = (projected[k] - others) / inner[k, k]
        if independent:
            kept = np.argsort(-np.square(target) * power, kind="stable")[: support.size]
            code[k] = 0.0
            code[k, kept] = target[kept]
            continue
        search = SupportSearch(gram.matrix, target[None], tiles=support)
        least = _LEAST_GAIN * gram.error(target[None] - search.result()) / support.size
        search.exchange_while_better(least, limit=10)
        code[k] = search.result()[0]
    return code


def _varimax(loadings: Matrix) -> Matrix:
    """Return the rotation [atoms, atoms] that makes loadings [cols, atoms] most uneven."""
    rotation = np.eye(loadings.shape[1])
    for _ in range(_VARIMAX_TURNS):
        turned = loadings @ rotation
        slope = loadings.T @ (turned**3 - turned * np.square(turned).mean(axis=0))
        u, _, v = linalg.svd(slope)
        rotation = u @ v
    return rotation
