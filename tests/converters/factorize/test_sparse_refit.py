"""Sparse layers: budgets and blocks are kept, better ways are better, small cases are optimal."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from tflm_sparsesep.converters.errors import ConfigError
from tflm_sparsesep.converters.factorize import gram, sparse_refit
from tflm_sparsesep.converters.factorize.gram import Gram

BLOCKS = [(1, 1), (1, 4), (4, 1), (2, 4), (4, 4)]
WAYS = ["one_shot", "shrink", "admm", "search"]


def layer(rows: int, cols: int, seed: int = 0) -> tuple[np.ndarray, Gram]:
    """Weights, and inputs that go together as neighbouring pixels do."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(4 * cols, cols))
    x = sum(np.roll(x, i, axis=1) for i in range(4)) * rng.uniform(0.2, 3, cols)
    return rng.normal(size=(rows, cols)), gram.accumulate([x]).damped(1e-2)


def stored(weights: np.ndarray, block: tuple[int, int]) -> int:
    """Weights in blocks that hold anything."""
    height, width = block
    return sum(
        int(weights[r : r + height, c : c + width].any()) * height * width
        for r in range(0, weights.shape[0], height)
        for c in range(0, weights.shape[1], width)
    )


@pytest.mark.parametrize("block", BLOCKS)
@pytest.mark.parametrize("way", ["magnitude", *WAYS])
@pytest.mark.parametrize("shape", [(8, 24), (7, 23)])
def test_budget_and_blocks(way: str, block: tuple[int, int], shape: tuple[int, int]) -> None:
    w, moments = layer(*shape)
    arguments = (w,) if way == "magnitude" else (w, moments)
    for nonzeros in (0, 33, 64):
        found = getattr(sparse_refit, way)(*arguments, nonzeros, block=block)
        assert found.shape == shape
        assert stored(found, block) == nonzeros // (block[0] * block[1]) * block[0] * block[1]
    whole = getattr(sparse_refit, way)(*arguments, 1000, block=block)
    np.testing.assert_allclose(whole, w, rtol=1e-8)


@pytest.mark.parametrize("block", BLOCKS)
def test_each_way_is_better_than_the_one_before(block: tuple[int, int]) -> None:
    ways = {}
    for way in ("magnitude", *WAYS):
        total = 0.0
        for seed in range(3):
            w, moments = layer(16, 48, seed)
            arguments = (w,) if way == "magnitude" else (w, moments)
            found = getattr(sparse_refit, way)(*arguments, 192, block=block)
            total += moments.error(w - found)
        ways[way] = total
    assert ways["magnitude"] > ways["one_shot"] > ways["shrink"]
    # A dozen 4x4 blocks in all are few enough for `shrink` to be as good.
    assert ways["shrink"] > ways["search"] / 1.02
    assert ways["one_shot"] > ways["admm"] >= ways["search"]


@pytest.mark.parametrize("block", [(1, 1), (2, 1), (1, 2)])
def test_close_to_the_best_of_all_supports(block: tuple[int, int]) -> None:
    ratios = []
    for seed in range(10):
        w, moments = layer(block[0], 10, seed)
        tiles = 10 // block[1]
        best = min(
            moments.error(w - _solved(w, moments.matrix, tiles_kept, block[1]))
            for tiles_kept in itertools.combinations(range(tiles), 3)
        )
        found = sparse_refit.search(w, moments, 3 * block[0] * block[1], block=block)
        ratios.append(moments.error(w - found) / best)
    assert min(ratios) > 1 - 1e-9
    # Single exchanges end in local optima; most of them are the best of all supports.
    assert np.median(ratios) < 1 + 1e-9
    assert max(ratios) < 1.3


def _solved(w: np.ndarray, g: np.ndarray, tiles: tuple[int, ...], tile: int) -> np.ndarray:
    kept = [c for t in tiles for c in range(t * tile, (t + 1) * tile)]
    found = np.zeros_like(w)
    found[:, kept] = np.linalg.solve(g[np.ix_(kept, kept)], (w @ g)[:, kept].T).T
    return found


@pytest.mark.parametrize("way", WAYS)
def test_weights_are_least_squares_on_their_support(way: str) -> None:
    w, moments = layer(6, 20)
    found = getattr(sparse_refit, way)(w, moments, 30)
    # The gradient vanishes on the support.
    gradient = (found - w) @ moments.matrix
    assert np.abs(gradient[found != 0]).max() < 1e-8


def test_important_rows_get_more_weights() -> None:
    w, moments = layer(10, 30)
    importance = np.array([100.0] * 5 + [1.0] * 5)
    found = sparse_refit.search(w, moments, 60, importance=importance)
    counts = np.count_nonzero(found, axis=1)
    assert counts[:5].sum() > 2 * counts[5:].sum()
    none = sparse_refit.search(w, moments, 60, importance=np.array([0.0] * 9 + [1.0]))
    assert np.count_nonzero(none[9]) == 30


def test_the_same_for_the_same_input() -> None:
    w, moments = layer(12, 40)
    for way in WAYS:
        run = getattr(sparse_refit, way)
        np.testing.assert_array_equal(run(w, moments, 50), run(w, moments, 50))


def test_shrinking_keeps_zeros() -> None:
    w, moments = layer(6, 20)
    first = sparse_refit.search(w, moments, 60)
    second = sparse_refit.shrink(first, moments, 20)
    assert not second[first == 0].any()
    assert np.count_nonzero(second) == 20


def test_paths_cut_to_a_budget() -> None:
    w, moments = layer(5, 12)
    paths = sparse_refit.growth(w, moments, 12)
    for path, row in zip(paths, w, strict=True):
        assert sorted(path.tiles) == list(range(12))
        assert (np.diff(path.values) <= 0).all()
        # Values are cut where they would rise, so they sum to no more than all there is.
        assert path.values.sum() <= moments.error(row[None]) * (1 + 1e-9)
    assert sum(len(path.tiles) for path in sparse_refit.cut(paths, 17)) == 17
    gone = sparse_refit.removal(w, moments)
    left = sparse_refit.survivors(gone, 17)
    assert sum(len(path.tiles) for path in left) == 17
    on = sparse_refit.search_on(w, moments, left, exchanges=0)
    assert np.count_nonzero(on) == 17
    for path, row in zip(left, on, strict=True):
        assert sorted(path.tiles) == np.flatnonzero(row).tolist()


def test_refusals() -> None:
    w, moments = layer(4, 6)
    with pytest.raises(ConfigError, match=r"\(4, 6\).* 5 inputs"):
        sparse_refit.search(w, gram.identity(5), 3)
    with pytest.raises(ConfigError, match="nonzeros is -1"):
        sparse_refit.search(w, moments, -1)
    with pytest.raises(ConfigError, match="block"):
        sparse_refit.search(w, moments, 3, block=(0, 1))
    with pytest.raises(ConfigError, match="importance"):
        sparse_refit.search(w, moments, 3, importance=np.array([1.0, 2.0, -1.0, 0.0]))
    with pytest.raises(ConfigError, match="singular"):
        sparse_refit.search(w, Gram(np.zeros((6, 6)), np.zeros(6)), 3)
