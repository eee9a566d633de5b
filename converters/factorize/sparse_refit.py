"""Select which weights of a layer to keep, and refit them so that its outputs change least.

All functions take dense weights W [rows, cols] and the Gram matrix G of the inputs (`gram.py`), and
return W' of the same shape that holds at most `nonzeros` weights in blocks of R x C, minimizing

    sum over rows i of importance_i (W - W')_i G (W - W')_i^T.

`importance` is the weight of an output's squared error (`chain.importance`), so that rows get as
many weights as they are worth, not all the same number. Methods, from fast to good:

- `magnitude`: the largest blocks, unchanged. Needs no data.
- `one_shot`: the same blocks, their weights by least squares.
- `shrink`: all blocks, the cheapest dropped in some steps, least squares after each. Cost of a
  block b: w_b [(H^-1)_bb]^-1 w_b^T (optimal brain surgeon; E. Frantar and D. Alistarh, "Optimal
  Brain Compression", NeurIPS 2022, for whole layers).
- `admm`: alternating directions between least squares and magnitude (X. Meng et al., "ALPS",
  NeurIPS 2024; V. Boza, TMLR 2024). One inverse for all rows: the way for layers with many inputs.
- `search`: `admm`, then in each row exchanges of one block for another until none saves anything.

For budgets over several layers, `growth` and `removal` say what each next block of a row saves (by
orthogonal least squares) or costs, and `cut` and `survivors` share out blocks by that.

MACs: nonzeros. Bytes in int8: nonzeros times one plus the index (`pack.py`: 0.5 to 2 bytes).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import linalg
from scipy.sparse import csr_array

from tflm_sparsesep.converters.errors import ConfigError
from tflm_sparsesep.converters.factorize.gram import Gram, Matrix, Vector
from tflm_sparsesep.converters.factorize.support_search import (
    SupportSearch,
    costs_of_all,
    highest,
    least_squares,
    lowest,
)

Block = tuple[int, int]

# An exchange must save this share of what the row's median block is worth: for less it is not worth
# the time.
_LEAST_GAIN = 0.002
_ITERATIONS = 60
# Below this share of nonzeros a sparse matrix product is faster than a dense one.
_THIN = 0.06


@dataclass(frozen=True)
class Path:
    """Blocks of a group of rows in the order in which they are added or removed.

    Attributes:
        tiles: column tiles in that order.
        values: saved by each (growth, never rising) or lost (removal, never falling).
    """

    tiles: list[int]
    values: Vector


@dataclass(frozen=True)
class _Problem:
    """Weights scaled by the root of their importance, padded to whole tiles, in groups of rows.

    `gram` is padded, too; `inputs` are the moments without padding.
    """

    groups: list[Matrix]
    gram: Matrix
    inputs: Gram
    scale: Vector
    block: Block
    shape: tuple[int, int]

    def spectrum(self) -> tuple[Vector, Matrix]:
        """Return `Gram.spectrum` of the padded matrix: padding is uncorrelated with all inputs."""
        values, vectors = self.inputs.spectrum
        extra = len(self.gram) - len(values)
        if not extra:
            return values, vectors
        return np.append(values, np.ones(extra)), linalg.block_diag(vectors, np.eye(extra))

    def join(self, groups: Sequence[Matrix]) -> Matrix:
        """Return the weights [rows, cols] of scaled, padded groups."""
        weights: Matrix = np.concatenate(groups)[:, : self.shape[1]] / self.scale[:, None]
        return weights


def magnitude(
    weights: Matrix, nonzeros: int, *, block: Block = (1, 1), importance: Vector | None = None
) -> Matrix:
    """Return the blocks of the largest squared sums, unchanged.

    Example:
        >>> magnitude(np.array([[3.0, 1.0], [-2.0, 0.5]]), 2).tolist()
        [[3.0, 0.0], [-2.0, 0.0]]
    """
    problem = _problem(weights, Gram(np.eye(weights.shape[1]), np.zeros(1)), block, importance)
    supports = _largest(problem.groups, block[1], _blocks(nonzeros, block))
    tile = block[1]
    return problem.join(
        [group * kept.repeat(tile) for group, kept in zip(problem.groups, supports, strict=True)]
    )


def one_shot(
    weights: Matrix,
    gram: Gram,
    nonzeros: int,
    *,
    block: Block = (1, 1),
    importance: Vector | None = None,
) -> Matrix:
    """Return the blocks of `magnitude` with least-squares weights."""
    problem = _problem(weights, gram, block, importance)
    return _solve(problem, _largest(problem.groups, block[1], _blocks(nonzeros, block)))


def shrink(
    weights: Matrix,
    gram: Gram,
    nonzeros: int,
    *,
    steps: int = 5,
    block: Block = (1, 1),
    importance: Vector | None = None,
) -> Matrix:
    """Drop the cheapest blocks in `steps` steps of equal ratio, with least squares after each.

    Zeros of `weights` stay zero, so that sparse weights can be shrunk further.

    Example:
        Two inputs are nearly the same: the one that stays takes over the other's weight.

        >>> gram = Gram(np.array([[1.0, 0.99], [0.99, 1.0]]), np.zeros(2))
        >>> shrink(np.array([[1.0, 0.9]]), gram, 1).round(3).tolist()
        [[1.891, 0.0]]
    """
    problem = _problem(weights, gram, block, importance)
    tile = block[1]
    supports: list[npt.NDArray[np.bool_]] = [
        np.any(group.reshape(len(group), -1, tile) != 0, axis=(0, 2)) for group in problem.groups
    ]
    blocks, goal = sum(int(s.sum()) for s in supports), _blocks(nonzeros, block)
    ratio = (goal / max(blocks, 1)) ** (1 / steps)
    for step in range(1, steps + 1):
        left = goal if step == steps else math.ceil(blocks * ratio**step)
        if all(kept.all() for kept in supports):
            costs = costs_of_all(problem.gram, problem.groups, tile)
        else:
            costs = [
                SupportSearch(problem.gram, group, tile=tile, tiles=np.flatnonzero(kept)).costs()
                for group, kept in zip(problem.groups, supports, strict=True)
            ]
        dropped = lowest(costs, left)
        for kept, drop in zip(supports, dropped, strict=True):
            kept[np.flatnonzero(kept)[drop]] = False
    return _solve(problem, supports)


def admm(
    weights: Matrix,
    gram: Gram,
    nonzeros: int,
    *,
    block: Block = (1, 1),
    importance: Vector | None = None,
    iterations: int = _ITERATIONS,
) -> Matrix:
    """Alternate between least squares and the largest blocks with a growing penalty, then refit.

    W <- argmin tr((W0 - W) G (W0 - W)^T) + rho ||W - Z + U||^2, Z <- largest blocks of W + U,
    U <- U + W - Z. One eigendecomposition of G serves all rho. Inputs are scaled to equal power
    first, so that magnitudes are comparable.
    """
    problem = _problem(weights, gram, block, importance)
    return _solve(problem, _admm_supports(problem, _blocks(nonzeros, block), iterations))


def search(
    weights: Matrix,
    gram: Gram,
    nonzeros: int,
    *,
    block: Block = (1, 1),
    importance: Vector | None = None,
    exchanges: int = 100,
) -> Matrix:
    """Improve `admm` by the best exchanges of one block in each group of rows.

    Args:
        weights: float64[rows, cols].
        gram: of the inputs, damped (`Gram.damped`).
        nonzeros: weights to keep, with those that fill up blocks.
        block: R consecutive rows times C consecutive columns, kept or dropped together.
        importance: float64[rows], not negative; 1 for each row by default.
        exchanges: most exchanges per group of rows; 0 is faster and somewhat worse.

    Raises:
        ConfigError: shapes do not fit, values are not accepted, or the Gram matrix is singular.

    Example:
        Two inputs are nearly the same: the one that stays takes over the other's weight.

        >>> gram = Gram(np.array([[1.0, 0.99], [0.99, 1.0]]), np.zeros(2))
        >>> search(np.array([[1.0, 0.9]]), gram, 1).round(3).tolist()
        [[1.891, 0.0]]
    """
    problem = _problem(weights, gram, block, importance)
    supports = _admm_supports(problem, _blocks(nonzeros, block), _ITERATIONS)
    pairs = zip(problem.groups, supports, strict=True)
    return problem.join(
        [_exchange(problem, group, np.flatnonzero(kept), exchanges) for group, kept in pairs]
    )


def search_on(
    weights: Matrix,
    gram: Gram,
    supports: Sequence[Path],
    *,
    block: Block = (1, 1),
    importance: Vector | None = None,
    exchanges: int = 100,
) -> Matrix:
    """Return `search` on given supports, for instance allocated over several layers."""
    problem = _problem(weights, gram, block, importance)
    pairs = zip(problem.groups, supports, strict=True)
    return problem.join([_exchange(problem, group, path.tiles, exchanges) for group, path in pairs])


def refit(weights: Matrix, gram: Gram, like: Matrix, *, block: Block = (1, 1)) -> Matrix:
    """Return the least-squares weights where `like` [rows, cols] has nonzero blocks.

    Example:
        >>> gram = Gram(np.array([[1.0, 0.5], [0.5, 1.0]]), np.zeros(2))
        >>> refit(np.array([[1.0, 1.0]]), gram, np.array([[9.0, 0.0]])).tolist()
        [[1.5, 0.0]]
    """
    problem = _problem(weights, gram, block, None)
    padded = np.pad(like, ((0, 0), (0, -like.shape[1] % block[1])))
    groups = [padded[part] for part in _groups(len(padded), block[0])]
    supports = [np.any(g.reshape(len(g), -1, block[1]) != 0, axis=(0, 2)) for g in groups]
    return _solve(problem, supports)


def growth(
    weights: Matrix,
    gram: Gram,
    limit: int,
    *,
    block: Block = (1, 1),
    importance: Vector | None = None,
) -> list[Path]:
    """Return the first `limit` blocks of each group of rows and what each saves."""
    problem = _problem(weights, gram, block, importance)
    return [_grow(problem, group, limit) for group in problem.groups]


def removal(
    weights: Matrix, gram: Gram, *, block: Block = (1, 1), importance: Vector | None = None
) -> list[Path]:
    """Return the blocks of each group of rows, the cheapest first.

    A value is the cost of dropping the block after those before, with the rest refitted.
    """
    problem = _problem(weights, gram, block, importance)
    return [_remove_all(problem, group) for group in problem.groups]


def cut(paths: Sequence[Path], blocks: int) -> list[Path]:
    """Return the prefixes of growth paths with `blocks` blocks in total that save most."""
    dropped = lowest([path.values for path in paths], blocks)
    counts = [len(path.tiles) - int(drop.sum()) for path, drop in zip(paths, dropped, strict=True)]
    pairs = zip(paths, counts, strict=True)
    return [Path(path.tiles[:count], path.values[:count]) for path, count in pairs]


def survivors(paths: Sequence[Path], blocks: int) -> list[Path]:
    """Return the rest of removal paths when the `blocks` most expensive blocks stay."""
    dropped = lowest([path.values for path in paths], blocks)
    counts = [int(drop.sum()) for drop in dropped]
    pairs = zip(paths, counts, strict=True)
    return [Path(path.tiles[count:][::-1], path.values[count:][::-1]) for path, count in pairs]


def _grow(problem: _Problem, group: Matrix, limit: int) -> Path:
    search = SupportSearch(problem.gram, group, tile=problem.block[1])
    values: list[float] = []
    while len(search.tiles) < min(limit, len(problem.gram) // problem.block[1]):
        gains = search.gains()
        best = int(np.argmax(gains))
        values.append(min(float(gains[best]), values[-1] if values else math.inf))
        search.add(best)
    return Path(search.tiles, np.array(values))


def _remove_all(problem: _Problem, group: Matrix) -> Path:
    tile = problem.block[1]
    kept = np.flatnonzero(group.reshape(len(group), -1, tile).any(axis=(0, 2)))
    search = SupportSearch(problem.gram, group, tile=tile, tiles=kept)
    tiles, values = [], []
    while search.tiles:
        costs = search.costs()
        cheapest = int(np.argmin(costs))
        values.append(float(costs[cheapest]))
        tiles.append(search.remove(cheapest))
    return Path(tiles, np.maximum.accumulate(np.array(values)) if values else np.zeros(0))


def _exchange(problem: _Problem, group: Matrix, tiles: npt.ArrayLike, limit: int) -> Matrix:
    search = SupportSearch(problem.gram, group, tile=problem.block[1], tiles=tiles)
    if search.tiles and limit:
        search.exchange_while_better(_LEAST_GAIN * np.median(search.costs()), limit=limit)
    return search.result()


def _admm_supports(problem: _Problem, blocks: int, iterations: int) -> list[npt.NDArray[np.bool_]]:
    """Return the supports of `admm`; rho grows from 0.01 to 10 times the mean eigenvalue.

    Iterates in the eigenvectors' basis, where the least-squares step is diagonal.
    """
    power = np.sqrt(np.diag(problem.gram))
    values, vectors = problem.spectrum()
    height, tile = problem.block
    start = np.concatenate(problem.groups) * power
    sparse = np.pad(start, ((0, -len(start) % height), (0, 0)))
    shape = (len(sparse) // height, height, sparse.shape[1] // tile, tile)
    rotated = sparse @ vectors
    wanted, pull = rotated * values, rotated
    supports = np.zeros((shape[0], shape[2]), np.bool_)
    is_thin = blocks * height * tile < _THIN * sparse.size
    dual = np.zeros_like(rotated)  # rotated, as are `wanted` and `pull`
    left = np.zeros_like(sparse)  # the dual, not rotated
    *penalties, last = np.geomspace(0.01, 10.0, iterations) * float(values.mean())
    for rho in (*penalties, last):
        dense = (wanted + rho * pull) / (values + rho)
        total = (dense @ vectors.T + left).reshape(shape)
        supports = highest(np.square(total).sum(axis=(1, 3)), blocks)
        if rho == last:
            break
        sparse = np.where(supports[:, None, :, None], total, 0.0).reshape(left.shape)
        left = total.reshape(left.shape) - sparse
        rotated = csr_array(sparse) @ vectors if is_thin else sparse @ vectors
        dual = dense + dual - rotated
        pull = rotated - dual
    return list(supports)


def _solve(problem: _Problem, supports: Sequence[npt.NDArray[np.bool_]]) -> Matrix:
    """Return the least-squares weights on supports bool[tiles] of the groups."""
    height, tile = problem.block
    wanted = np.concatenate(problem.groups) @ problem.gram
    parts = zip(_groups(len(wanted), height), supports, strict=True)
    columns = [(part, np.flatnonzero(kept.repeat(tile))) for part, kept in parts]
    return problem.join([least_squares(problem.gram, wanted[p], kept) for p, kept in columns])


def _largest(groups: Sequence[Matrix], tile: int, blocks: int) -> list[npt.NDArray[np.bool_]]:
    """Return the blocks of most power, as bool[tiles] per group."""
    power = [np.square(g).reshape(len(g), -1, tile).sum(axis=(0, 2)) for g in groups]
    return [~drop for drop in lowest(power, blocks)]


def _problem(weights: Matrix, gram: Gram, block: Block, importance: Vector | None) -> _Problem:
    rows, cols = weights.shape
    if gram.cols != cols:
        raise ConfigError(f"weights are {weights.shape}, the Gram matrix is of {gram.cols} inputs")
    if min(block) < 1:
        raise ConfigError(f"block is {block}; accepted: two numbers of at least 1")
    matter = np.ones(rows) if importance is None else np.asarray(importance, np.float64)
    if matter.shape != (rows,) or not np.isfinite(matter).all() or matter.min() < 0:
        raise ConfigError(f"importance must be {rows} finite numbers that are not negative")
    # A row of no importance still needs a scale to divide by.
    scale = np.sqrt(np.maximum(matter, 1e-12 * max(float(matter.max()), 1e-300)))
    extra = -cols % block[1]
    matrix = linalg.block_diag(gram.matrix, np.eye(extra)) if extra else gram.matrix
    _ = gram.cholesky  # raises where the matrix is singular
    padded = np.pad(weights * scale[:, None], ((0, 0), (0, extra)))
    groups = [padded[part] for part in _groups(rows, block[0])]
    return _Problem(groups, np.ascontiguousarray(matrix), gram, scale, block, (rows, cols))


def _groups(rows: int, size: int) -> list[slice]:
    return [slice(start, min(start + size, rows)) for start in range(0, rows, size)]


def _blocks(nonzeros: int, block: Block) -> int:
    if nonzeros < 0:
        raise ConfigError(f"nonzeros is {nonzeros}; accepted: 0 or more")
    return nonzeros // (block[0] * block[1])
