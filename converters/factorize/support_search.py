"""Search the support of a few rows: least squares updated for single changes of it.

R rows W [R, cols] share a support, a set S of tiles of C consecutive columns. The best weights on S
are w = c_S K with c = W G and K = (G_SS)^-1; they leave the correlations r = c - w G_S. For a tile
t, with V = G - G_:S K G_S: (the Schur complement), p = K G_S: and sums over the R rows,

    adding t to S saves          sum r_t V_tt^-1 r_t^T            (orthogonal least squares)
    taking t out of S costs      sum w_t (K_tt)^-1 w_t^T          (optimal brain surgeon)
    t for s, s in S: the first with r + w_s K_ss^-1 p_s and V_tt + p_st^T K_ss^-1 p_st,
                     minus the second: exact for each of |S| * tiles exchanges.

For C = 1 the second is w^2 / [H^-1]_jj of B. Hassibi and D. Stork, NIPS 1992; the exchanges are
those of H. Hazimeh and R. Mazumder, "Fast Best Subset Selection", Operations Research 2020, with
least squares solved exactly. All of it is kept up to date by rank-one updates.

Time: |S| cols multiply-adds for adding, taking out, or weighing all exchanges of one support (times
R C for the last). Memory: 8 |S| cols bytes.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy import linalg

from tflm_sparsesep.converters.factorize.gram import Matrix, Vector


class SupportSearch:
    """R rows of weights with a common support.

    Args:
        gram: float64[cols, cols], positive definite; cols is a multiple of `tile`.
        weights: float64[R, cols] to be approximated.
        tile: columns that are kept or dropped together.
        tiles: those kept at first.

    Example:
        >>> search = SupportSearch(np.eye(3), np.array([[3.0, 1.0, 2.0]]))
        >>> search.add(int(np.argmax(search.gains())))
        >>> search.tiles, search.result().tolist()
        ([0], [[3.0, 0.0, 0.0]])
    """

    def __init__(
        self, gram: Matrix, weights: Matrix, *, tile: int = 1, tiles: npt.ArrayLike = ()
    ) -> None:
        self._gram, self._tile = gram, tile
        cols = len(gram)
        self.tiles = [int(t) for t in np.asarray(tiles, np.int64)]
        kept = (np.asarray(self.tiles, np.int64)[:, None] * tile + np.arange(tile)).ravel()
        self._kept = kept.tolist()  # the columns of `tiles`, in that order
        correlations = self._correlations = weights @ gram
        rows = gram[kept]
        self._inverse = linalg.inv(gram[np.ix_(kept, kept)]) if kept.size else np.zeros((0, 0))
        self._projection = self._inverse @ rows  # p: [|S|, cols]
        self._weights = correlations[:, kept] @ self._inverse  # [R, |S|]
        self._left = correlations - self._weights @ rows  # r: [R, cols]
        blocks = rows.reshape(len(kept), cols // tile, tile)
        projected = self._projection.reshape(blocks.shape)
        self._schur = self._diagonal(gram) - np.einsum("ktc,ktd->tcd", blocks, projected)
        self._outside = np.ones(cols // tile, np.bool_)
        self._outside[self.tiles] = False

    def gains(self) -> Vector:
        """Return what adding each tile saves, float64[all tiles]; -1 for those already in."""
        left = self._left.reshape(len(self._left), -1, self._tile)
        saved = _quadratic(self._schur_outside(), left)
        return np.where(self._outside, saved, -1.0)

    def costs(self) -> Vector:
        """Return the cost of removing each tile, float64[len(tiles)], in the order of `tiles`."""
        weights = self._weights.reshape(len(self._weights), -1, self._tile)
        return _quadratic(self._inverse_blocks(), weights)

    def add(self, tile: int) -> None:
        """Add a tile."""
        for column in range(tile * self._tile, (tile + 1) * self._tile):
            self._add_column(column)
        self.tiles.append(tile)
        self._outside[tile] = False

    def remove(self, position: int) -> int:
        """Remove and return the tile at a position of `tiles`."""
        for _ in range(self._tile):
            self._remove_column(position * self._tile)
        tile = self.tiles.pop(position)
        self._outside[tile] = True
        return tile

    def best_exchange(self) -> tuple[int, int, float]:
        """Return a position in `tiles`, the tile to put there, and what the exchange saves."""
        count, tiles = len(self.tiles), len(self._outside)
        inverse = np.linalg.inv(self._inverse_blocks())  # [|S|, C, C]
        p = self._projection.reshape(count, self._tile, tiles, self._tile)
        solved = np.einsum("sab,sbtc->satc", inverse, p)
        schur = self._schur_outside() + np.einsum("satc,satd->stcd", p, solved)
        saved = -np.broadcast_to(self.costs()[:, None], (count, tiles))
        weights = self._weights.reshape(-1, count, self._tile)
        for w, r in zip(weights, self._left.reshape(-1, tiles, self._tile), strict=True):
            saved = saved + _quadratic(schur, (r + np.einsum("sa,satc->stc", w, solved))[None])
        saved[:, ~self._outside] = -np.inf
        position, tile = divmod(int(np.argmax(saved)), tiles)
        return position, tile, float(saved[position, tile])

    def exchange_while_better(self, least_gain: float, *, limit: int = 100) -> int:
        """Make the best exchange until it saves less than `least_gain`; return the number."""
        if not self.tiles or len(self.tiles) == len(self._outside):
            return 0
        for done in range(limit):
            position, tile, saved = self.best_exchange()
            if saved <= least_gain:
                return done
            self.remove(position)
            self.add(tile)
        return limit

    def result(self) -> Matrix:
        """float64[R, cols]: the least-squares weights, zeros outside of the support.

        Solved anew, so that rounding of the updates does not add up.
        """
        return least_squares(self._gram, self._correlations, self._kept)

    def _diagonal(self, gram: Matrix) -> Matrix:
        count = len(gram) // self._tile
        blocks = gram.reshape(count, self._tile, count, self._tile)
        return blocks[np.arange(count), :, np.arange(count)]

    def _inverse_blocks(self) -> Matrix:
        return self._diagonal(self._inverse)

    def _schur_outside(self) -> Matrix:
        """V_tt; identity for tiles inside, where it is singular and of no use."""
        return np.where(self._outside[:, None, None], self._schur, np.eye(self._tile))

    def _add_column(self, j: int) -> None:
        p = self._projection[:, j].copy()
        row = self._gram[j] - p @ self._gram[self._kept]
        pivot = row[j]
        size = len(p)
        inverse = np.empty((size + 1, size + 1))
        inverse[:size, :size] = self._inverse + np.outer(p, p / pivot)
        inverse[:size, size] = inverse[size, :size] = -p / pivot
        inverse[size, size] = 1 / pivot
        projection = np.empty((size + 1, len(row)))
        np.subtract(self._projection, np.outer(p / pivot, row), out=projection[:size])
        projection[size] = row / pivot
        weight = self._left[:, j] / pivot
        self._inverse, self._projection = inverse, projection
        self._weights = np.hstack([self._weights - np.outer(weight, p), weight[:, None]])
        self._left = self._left - np.outer(weight, row)
        tiles = row.reshape(-1, self._tile)
        self._schur = self._schur - np.einsum("tc,td->tcd", tiles, tiles / pivot)
        self._kept.append(j)

    def _remove_column(self, i: int) -> None:
        pivot = self._inverse[i, i]
        column, row = self._inverse[:, i] / pivot, self._projection[i].copy()
        weight = self._weights[:, i].copy()
        others = np.arange(len(column)) != i
        self._inverse = (self._inverse - np.outer(column, self._inverse[i]))[np.ix_(others, others)]
        self._projection = (self._projection - np.outer(column, row))[others]
        self._weights = (self._weights - np.outer(weight, column))[:, others]
        self._left = self._left + np.outer(weight / pivot, row)
        tiles = row.reshape(-1, self._tile)
        self._schur = self._schur + np.einsum("tc,td->tcd", tiles, tiles / pivot)
        del self._kept[i]


def least_squares(gram: Matrix, correlations: Matrix, columns: npt.ArrayLike) -> Matrix:
    """Return the best weights float64[R, cols] on some columns, for correlations W G [R, cols]."""
    kept = np.asarray(columns, np.int64)
    found = np.zeros_like(correlations)
    if kept.size:
        inner = gram[np.ix_(kept, kept)]
        _, solved, info = linalg.lapack.dposv(inner.T, correlations[:, kept].T, overwrite_a=True)
        assert info == 0, "not positive definite"  # callers damp the matrix
        found[:, kept] = solved.T
    return found


def costs_of_all(gram: Matrix, groups: Sequence[Matrix], tile: int) -> list[Vector]:
    """Return `costs` of groups of rows [R, cols] that keep all tiles, with one inverse."""
    whole = SupportSearch(gram, np.zeros((1, len(gram))), tile=tile, tiles=range(len(gram) // tile))
    blocks = whole._inverse_blocks()
    return [_quadratic(blocks, group.reshape(len(group), -1, tile)) for group in groups]


def lowest(values: Sequence[Vector], left: int) -> list[npt.NDArray[np.bool_]]:
    """Mark all but the `left` highest of all values, as bool arrays like `values`."""
    flat = np.concatenate(values) if values else np.zeros(0)
    ends = list(itertools.accumulate(len(v) for v in values))
    return np.split(~highest(flat, left), ends[:-1])


def highest(values: Matrix | Vector, count: int) -> npt.NDArray[np.bool_]:
    """Mark the `count` highest of all values; of equal ones the first are taken."""
    flat = values.ravel()
    if count >= len(flat):
        return np.ones(values.shape, np.bool_)
    if count <= 0:
        return np.zeros(values.shape, np.bool_)
    limit = np.partition(flat, len(flat) - count)[len(flat) - count]
    mark = flat > limit
    mark[np.flatnonzero(flat == limit)[: count - np.count_nonzero(mark)]] = True
    found: npt.NDArray[np.bool_] = mark.reshape(values.shape)
    return found


def _quadratic(blocks: Matrix, vectors: Matrix) -> Matrix:
    """Return the sum over R of v^T B^-1 v: blocks [..., C, C], vectors [R, ..., C] -> [...]."""
    if blocks.shape[-1] == 1:
        found: Matrix = np.square(vectors[..., 0]).sum(axis=0) / blocks[..., 0, 0]
        return found
    solved = np.linalg.solve(blocks, np.moveaxis(vectors, 0, -1))
    sums: Matrix = np.einsum("r...c,...cr->...", vectors, solved)
    return sums
