"""Which order of output rows lets blocks of several rows line up.

A block of R rows x C columns is stored if any of its weights is not zero. A row's support is the
set of its C-wide tiles that are not all zero, so a group of R rows stores as many blocks as the
union of their supports has tiles. The order of a hidden layer's rows is arbitrary: sought is the
split into groups of R that minimises

    blocks = sum over groups of |union of the supports of its rows|

which is out of exact reach for R > 2. Greedy groups by Jaccard similarity come first. Then, in
rounds, one row of each group is taken out and all are put back where they add least. That is an
assignment problem, which scipy solves exactly, so no round makes it worse.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.optimize import linear_sum_assignment

# 300 more rounds save less than 1% of the blocks of 300x784 and 1024x1024 random weights.
_ROUNDS = 20
# Groups that exchange rows in one assignment, which takes cubic time.
_EXCHANGE = 256
# Smaller gains are not worth an order of its own, nor the time to weigh it.
_LEAST_GAIN = 0.01
_SEED = 0

Weights = npt.NDArray[Any]
Order = npt.NDArray[np.int64]
# 0 or 1 for each row and tile; float32 because its products use BLAS. Sums below 2^24 are exact.
Support = npt.NDArray[np.float32]


def group_rows(weights: Weights, block: tuple[int, int]) -> Order:
    """A permutation of the rows with which fewer blocks hold anything.

    Args:
        weights: [rows, cols], any dtype; only zero or not matters.
        block: rows and columns of a block.

    Returns:
        int64[rows]: `weights[order]` is the permuted matrix. The same for the same zeros. It is
        the identity where no order was found that saves 1%, so there are never more blocks.

    Example:
        >>> group_rows(np.array([[1, 0], [0, 1], [1, 0], [0, 1]]), (2, 1)).tolist()
        [0, 2, 1, 3]
    """
    rows, size = len(weights), block[0]
    unchanged = np.arange(rows)
    if size == 1 or rows <= size:
        return unchanged
    support = _support(weights, block[1])
    groups = np.sort(_exchange(support, _greedy_groups(support, size)), axis=1)
    # Only the last group can be short, and must stay last.
    groups[:-1] = groups[:-1][np.argsort(groups[:-1, 0])]
    order = groups[groups >= 0]
    before, after = (count_blocks(w, block) for w in (weights, weights[order]))
    return order if after < (1 - _LEAST_GAIN) * before else unchanged


def count_blocks(weights: Weights, block: tuple[int, int]) -> int:
    """Blocks of `weights` [rows, cols] that are not all zero; edges count as filled with zeros."""
    support = _support(weights, block[1])
    padded = np.pad(support, ((0, -len(support) % block[0]), (0, 0)))
    return int(padded.reshape(-1, block[0], support.shape[1]).max(axis=1).sum())


def _support(weights: Weights, block_cols: int) -> Support:
    """float32[rows, tiles]: 1 where a tile of a row holds anything."""
    padded = np.pad(weights != 0, ((0, 0), (0, -weights.shape[1] % block_cols)))
    tiles: npt.NDArray[np.bool_] = padded.reshape(len(weights), -1, block_cols).max(axis=2)
    return tiles.astype(np.float32)


def _greedy_groups(support: Support, size: int) -> Order:
    """Row numbers [groups, size]: the fullest row left and its likes. -1 fills up the last."""
    fill = support.sum(axis=1)
    left = np.ones(len(support), np.bool_)
    groups = np.full((math.ceil(len(support) / size), size), -1)
    for group in groups:
        union = np.zeros(support.shape[1], np.float32)
        for slot in range(min(size, int(left.sum()))):
            shared = support @ union
            jaccard = shared / np.maximum(fill + union.sum() - shared, 1)
            row = np.argmax(np.where(left, jaccard if slot else fill, -1))
            group[slot], left[row] = row, False
            union = np.maximum(union, support[row])
    return groups


def _exchange(support: Support, groups: Order) -> Order:
    """`groups` after rounds of best exchanges of one row each."""
    rng = np.random.default_rng(_SEED)
    last = np.count_nonzero(groups[-1] >= 0)
    for _ in range(_ROUNDS):
        groups[:-1] = rng.permuted(groups[:-1], axis=1)
        groups[-1, :last] = rng.permutation(groups[-1, :last])
        parts = math.ceil(len(groups) / _EXCHANGE)
        for part in np.array_split(rng.permutation(len(groups)), parts):
            taken, kept = groups[part, 0], groups[part, 1:]
            union = np.where(kept[..., None] >= 0, support[kept], 0).max(axis=1)
            growth = (1 - union) @ support[taken].T
            groups[part, 0] = taken[linear_sum_assignment(growth)[1]]
    return groups
