"""The choice of forms against trying all combinations, and forms against their promises."""

from __future__ import annotations

import doctest
import itertools
from collections.abc import Sequence

import numpy as np
import pytest

from tflm_sparsesep.compression import form_choice
from tflm_sparsesep.compression.budget_search import Limits
from tflm_sparsesep.compression.factorization import DENSE, Factorization, MatrixFitProblem
from tflm_sparsesep.compression.form_choice import Front, Option
from tflm_sparsesep.converters.factorize.gram import accumulate

COSTS = ("flash_bytes", "instructions")
ROWS, COLS = 24, 36
KERNEL = (3, 3, 4)
FORMS = [
    Factorization("sparse", (1, 1), 200),
    Factorization("sparse", (1, 4), 200),
    Factorization("sparse", (4, 4), 192),
    Factorization("low_rank", rank=6),
    Factorization("dictionary", size=120, rank=8),
    Factorization("separated", rank=6),
    Factorization("tucker", rank=3, outer=12),
]


def three_layers() -> list[list[Option]]:
    rng = np.random.default_rng(0)
    return [
        [Option(DENSE, 0.0, 1000 * (i + 1), 5000)]
        + [
            Option(
                Factorization("low_rank", rank=rank),
                float(rng.uniform(0.5, 2)) / rank**2,
                90 * rank,
                70 * rank,
            )
            for rank in range(1, 9)
        ]
        for i in range(3)
    ]


def sums(options: Sequence[Option]) -> tuple[float, float, float]:
    """Noise, bytes and instructions of all layers."""
    return (
        sum(o.noise for o in options),
        sum(o.flash_bytes for o in options),
        sum(o.instructions for o in options),
    )


def chosen(layers: list[list[Option]], limits: Limits) -> list[Option]:
    forms = Front(layers).choose(limits)
    table = [{o.form: o for o in options} for options in layers]
    return [t[form] for t, form in zip(table, forms, strict=True)]


@pytest.mark.parametrize("flash", [900, 1500, 2500, 4000])
@pytest.mark.parametrize("time", [900, 1200, 3000, 9000])
def test_no_combination_within_the_limits_has_less_noise(flash: int, time: int) -> None:
    layers = three_layers()
    found = sums(chosen(layers, Limits(flash_bytes=flash, instructions=time)))
    assert found[1] <= flash
    assert found[2] <= time
    least = min(
        noise
        for noise, some, other in map(sums, itertools.product(*layers))
        if some <= 0.98 * flash and other <= 0.98 * time
    )
    # Costs within a hundredth count as one, in each of the two later merges.
    assert found[0] <= least


@pytest.mark.parametrize("noise", [0.01, 0.1, 0.5, 2.0])
def test_no_combination_of_so_little_noise_is_cheaper(noise: float) -> None:
    layers = three_layers()
    found = sums(chosen(layers, Limits(noise=noise)))
    assert found[0] <= noise
    products = [
        flash * time for some, flash, time in map(sums, itertools.product(*layers)) if some <= noise
    ]
    # In each of two merges both costs may be a hundredth more than those of what was dropped.
    assert found[1] * found[2] <= 1.01**4 * min(products)


def test_limits_that_nothing_keeps_are_exceeded_least() -> None:
    layers = three_layers()
    least = tuple(sum(min(getattr(o, f) for o in layer) for layer in layers) for f in COSTS)
    found = sums(chosen(layers, Limits(flash_bytes=1, instructions=1)))
    assert found[1:] == least


def test_a_size_without_a_limit_counts_a_little() -> None:
    """Of two forms of nearly equal noise and bytes the one that is ten times as fast."""
    slow = Option(Factorization("separated", rank=2), 0.10, 50, 100)
    fast = Option(Factorization("low_rank", rank=2), 0.11, 50, 10)
    options = [Option(DENSE, 0.0, 100, 100), slow, fast]
    assert Front([options]).choose(Limits(flash_bytes=60)) == (fast.form,)
    assert Front([options]).choose(Limits(flash_bytes=60, instructions=1000)) == (slow.form,)


def test_tighter_limits_bring_more_noise() -> None:
    layers = three_layers()
    found = [
        sums(chosen(layers, Limits(flash_bytes=b, instructions=b))) for b in range(500, 6000, 50)
    ]
    noise = [n for n, *_ in found]
    assert noise == sorted(noise, reverse=True)
    assert len(set(noise)) > 20


def test_forms_that_need_less_memory_where_the_arena_binds() -> None:
    small, large = Factorization("low_rank", rank=2), Factorization("separated", rank=2)
    options = [
        Option(DENSE, 0.0, 100, 100, arena_bytes=300),
        Option(small, 0.3, 50, 60, arena_bytes=200),
        Option(large, 0.1, 40, 40, arena_bytes=400),
    ]
    found = {
        limit: Front([options], limit).choose(Limits(flash_bytes=60))[0]
        for limit in (500, 399, 299, 100)
    }
    # Below 200 none fits: the one that comes closest.
    assert found == {500: large, 399: small, 299: small, 100: small}


def correlated(count: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    mixing = np.random.default_rng(5).normal(size=(12, COLS))
    return rng.normal(size=(count, 12)) @ mixing + 0.3 * rng.normal(size=(count, COLS))


def a_layer(seed: int = 0) -> MatrixFitProblem:
    rng = np.random.default_rng(1)
    gram = accumulate([correlated(800, seed)]).damped(1e-2)
    return MatrixFitProblem(rng.normal(size=(ROWS, COLS)), gram, rng.uniform(0.2, 3, ROWS), KERNEL)


@pytest.mark.parametrize("form", FORMS, ids=str)
def test_a_form_keeps_its_size_and_most_of_the_layer(form: Factorization) -> None:
    layer = a_layer()
    fitted = layer.fit(form, effort=1)
    assert 0 < layer.error(fitted) < 0.4
    first = fitted.matrices[0]
    if form.kind in ("sparse", "dictionary"):
        assert np.count_nonzero(first) <= form.size
    if form.rank:
        assert first.shape[0] == form.rank
    if form.outer:
        assert [m.shape for m in fitted.matrices] == [(3, 4), (12, 27), (ROWS, 12)]
    if form.block != (1, 1):
        rows, cols = form.block
        blocks = first.reshape(ROWS // rows, rows, COLS // cols, cols).any(axis=(1, 3))
        assert blocks.sum() * rows * cols <= form.size


@pytest.mark.parametrize("form", FORMS, ids=str)
def test_refitted_to_other_inputs_it_does_better_there(form: Factorization) -> None:
    here, there = a_layer(), a_layer(seed=3)
    # Other inputs: a third of them is silent.
    silent = np.arange(COLS) % 3 == 0
    gram = accumulate([np.where(silent, 0.1, 1.0) * correlated(800, 9)]).damped(1e-2)
    there = MatrixFitProblem(there.target, gram, there.importance, KERNEL)
    fitted = here.fit(form, effort=1)
    again = there.refit(form, lambda: fitted)
    assert there.error(again) <= there.error(fitted) + 1e-9
    assert [m.shape for m in again.matrices] == [m.shape for m in fitted.matrices]
    if form.kind in ("sparse", "dictionary"):
        assert not np.any(again.matrices[0][fitted.matrices[0] == 0])


def test_examples() -> None:
    result = doctest.testmod(form_choice)
    assert result.attempted > 0
    assert result.failed == 0
