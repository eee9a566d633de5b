"""Every update of the search against least squares solved from scratch."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from tflm_sparsesep.converters.factorize.support_search import SupportSearch

# Some ten rank-one updates of a matrix of condition below 1e3.
RELATIVE = 1e-8


def problem(cols: int, rows: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(3 * cols, cols)) @ (np.eye(cols) + 0.2 * rng.normal(size=(cols, cols)))
    return x.T @ x / len(x), rng.normal(size=(rows, cols))


def least_squares(gram: np.ndarray, w: np.ndarray, tiles: list[int], tile: int) -> np.ndarray:
    kept = [c for t in tiles for c in range(t * tile, (t + 1) * tile)]
    found = np.zeros_like(w)
    if kept:
        found[:, kept] = np.linalg.solve(gram[np.ix_(kept, kept)], (w @ gram)[:, kept].T).T
    return found


def error(gram: np.ndarray, w: np.ndarray, tiles: list[int], tile: int) -> float:
    difference = w - least_squares(gram, w, tiles, tile)
    return float(np.trace(difference @ gram @ difference.T))


@pytest.mark.parametrize(("tile", "rows"), [(1, 1), (1, 4), (2, 3), (4, 1), (4, 4)])
def test_gains_costs_and_exchanges_are_what_they_say(tile: int, rows: int) -> None:
    gram, w = problem(16, rows)
    search = SupportSearch(gram, w, tile=tile, tiles=[1])
    search.add(3)
    search.add(0)
    search.remove(1)
    tiles = search.tiles
    assert tiles == [1, 0]
    now = error(gram, w, tiles, tile)
    outside = [t for t in range(16 // tile) if t not in tiles]
    gains = [now - error(gram, w, [*tiles, t], tile) for t in outside]
    np.testing.assert_allclose(search.gains()[outside], gains, rtol=RELATIVE)
    assert (search.gains()[tiles] == -1).all()
    costs = [error(gram, w, [o for o in tiles if o != t], tile) - now for t in tiles]
    np.testing.assert_allclose(search.costs(), costs, rtol=RELATIVE)
    saved = {
        (p, t): now - error(gram, w, [*tiles[:p], *tiles[p + 1 :], t], tile)
        for p, t in itertools.product(range(2), outside)
    }
    best = max(saved, key=lambda pair: saved[pair])
    position, found, value = search.best_exchange()
    assert (position, found) == best
    np.testing.assert_allclose(value, saved[best], rtol=RELATIVE)
    np.testing.assert_allclose(
        search.result(), least_squares(gram, w, tiles, tile), rtol=RELATIVE, atol=1e-12
    )


@pytest.mark.parametrize("tile", [1, 2])
def test_exchanges_end_where_no_single_one_helps(tile: int) -> None:
    gram, w = problem(12, 2, seed=3)
    tiles = [0, 1]
    search = SupportSearch(gram, w, tile=tile, tiles=tiles)
    before = error(gram, w, tiles, tile)
    assert search.exchange_while_better(1e-9) > 0
    after = error(gram, w, search.tiles, tile)
    assert after < before
    others = [t for t in range(12 // tile) if t not in search.tiles]
    for position, t in itertools.product(range(2), others):
        tried = [*search.tiles[:position], *search.tiles[position + 1 :], t]
        assert error(gram, w, tried, tile) >= after - 1e-9


def test_long_runs_do_not_drift() -> None:
    gram, w = problem(60, 1, seed=5)
    search = SupportSearch(gram, w)
    rng = np.random.default_rng(0)
    for _ in range(300):
        if len(search.tiles) > 5 and rng.random() < 0.5:
            search.remove(int(rng.integers(len(search.tiles))))
        else:
            outside = np.setdiff1d(np.arange(60), search.tiles)
            if len(outside) > 1:
                search.add(int(rng.choice(outside)))
    now = error(gram, w, search.tiles, 1)
    costs = [error(gram, w, [o for o in search.tiles if o != t], 1) - now for t in search.tiles]
    # 300 updates, each good to about 1e-13 relative to the largest entries.
    np.testing.assert_allclose(search.costs(), costs, rtol=1e-6, atol=1e-9)


def test_nothing_and_everything() -> None:
    gram, w = problem(6, 2)
    empty = SupportSearch(gram, w)
    assert not empty.result().any()
    assert empty.exchange_while_better(0.0) == 0
    full = SupportSearch(gram, w, tiles=range(6))
    np.testing.assert_allclose(full.result(), w, rtol=RELATIVE)
    assert full.exchange_while_better(0.0) == 0
