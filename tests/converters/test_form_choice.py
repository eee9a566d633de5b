"""The choice of forms against trying all combinations, and forms against their promises."""

from __future__ import annotations

import doctest
import itertools

import numpy as np
import pytest

from tflm_sparsesep.converters import form_choice
from tflm_sparsesep.converters.budget_search import LEVELS
from tflm_sparsesep.converters.factorize.gram import accumulate
from tflm_sparsesep.converters.form_choice import Option, Preference, choose, multiplier
from tflm_sparsesep.converters.layer_forms import DENSE, Form, Layer, fit, refit

ROWS, COLS = 24, 36
KERNEL = (3, 3, 4)
FORMS = [
    Form("sparse", (1, 1), 200),
    Form("sparse", (1, 4), 200),
    Form("sparse", (4, 4), 192),
    Form("low_rank", rank=6),
    Form("dictionary", size=120, rank=8),
    Form("separated", rank=6),
]


def three_layers() -> list[list[Option]]:
    rng = np.random.default_rng(0)
    return [
        [Option(DENSE, 0.0, 1000 * (i + 1), 5000)]
        + [
            Option(
                Form("low_rank", rank=rank),
                float(rng.uniform(0.5, 2)) / rank**2,
                90 * rank,
                70 * rank,
            )
            for rank in range(1, 9)
        ]
        for i in range(3)
    ]


@pytest.mark.parametrize("level", [1, 40, 60, 80, 100])
@pytest.mark.parametrize("preference", [Preference(1, 1), Preference(1, 0.1), Preference(0.1, 1)])
def test_no_combination_has_a_lower_sum(level: int, preference: Preference) -> None:
    layers = three_layers()

    def price(options: tuple[Option, ...]) -> float:
        flash = sum(o.flash_bytes for o in options) / sum(o[0].flash_bytes for o in layers)
        time = sum(o.instructions for o in options) / sum(o[0].instructions for o in layers)
        costs = preference.flash_bytes * flash + preference.instructions * time
        return sum(o.noise for o in options) + multiplier(level) * costs

    best = min(itertools.product(*layers), key=price)
    assert choose(layers, level, preference) == tuple(option.form for option in best)


def test_levels_trade_noise_for_bytes() -> None:
    layers = three_layers()
    found = [choose(layers, level, Preference(1, 1)) for level in range(LEVELS)]
    assert found[0] == (DENSE,) * 3
    table = [{o.form: o for o in options} for options in layers]
    chosen = [[t[f] for t, f in zip(table, forms, strict=True)] for forms in found]
    noise = [sum(o.noise for o in options) for options in chosen]
    assert noise == sorted(noise)
    assert len(set(found)) > 8


def test_forms_that_need_less_memory_where_the_arena_binds() -> None:
    small, large = Form("low_rank", rank=2), Form("separated", rank=2)
    options = [
        Option(DENSE, 0.0, 100, 100, arena_bytes=300),
        Option(small, 0.3, 50, 60, arena_bytes=200),
        Option(large, 0.1, 40, 40, arena_bytes=400),
    ]
    chosen = {
        limit: choose([options], 90, Preference(1, 1, limit))[0] for limit in (500, 399, 299, 100)
    }
    # Below 200 none fits: the one that comes closest.
    assert chosen == {500: large, 399: small, 299: small, 100: small}


def correlated(count: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    mixing = np.random.default_rng(5).normal(size=(12, COLS))
    return rng.normal(size=(count, 12)) @ mixing + 0.3 * rng.normal(size=(count, COLS))


def a_layer(seed: int = 0) -> Layer:
    rng = np.random.default_rng(1)
    gram = accumulate([correlated(800, seed)]).damped(1e-2)
    return Layer(rng.normal(size=(ROWS, COLS)), gram, rng.uniform(0.2, 3, ROWS), KERNEL)


@pytest.mark.parametrize("form", FORMS, ids=str)
def test_a_form_keeps_its_size_and_most_of_the_layer(form: Form) -> None:
    layer = a_layer()
    fitted = fit(layer, form, effort=1)
    assert 0 < layer.error(fitted) < 0.4
    first = fitted.matrices[0]
    if form.kind in ("sparse", "dictionary"):
        assert np.count_nonzero(first) <= form.size
    if form.rank:
        assert first.shape[0] == form.rank
    if form.block != (1, 1):
        rows, cols = form.block
        blocks = first.reshape(ROWS // rows, rows, COLS // cols, cols).any(axis=(1, 3))
        assert blocks.sum() * rows * cols <= form.size


@pytest.mark.parametrize("form", FORMS, ids=str)
def test_refitted_to_other_inputs_it_does_better_there(form: Form) -> None:
    here, there = a_layer(), a_layer(seed=3)
    # Other inputs: a third of them is silent.
    silent = np.arange(COLS) % 3 == 0
    gram = accumulate([np.where(silent, 0.1, 1.0) * correlated(800, 9)]).damped(1e-2)
    there = Layer(there.weights, gram, there.importance, KERNEL)
    fitted = fit(here, form, effort=1)
    again = refit(there, fitted)
    assert there.error(again) <= there.error(fitted) + 1e-9
    assert [m.shape for m in again.matrices] == [m.shape for m in fitted.matrices]
    if form.kind in ("sparse", "dictionary"):
        assert not np.any(again.matrices[0][fitted.matrices[0] == 0])


def test_examples() -> None:
    result = doctest.testmod(form_choice)
    assert result.attempted > 0
    assert result.failed == 0
