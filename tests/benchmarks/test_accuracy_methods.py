"""Parts of the accuracy benchmark that its results rest on, without training."""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

FOLDER = Path(__file__).parents[2] / "benchmarks/accuracy"

Load = Callable[[str], ModuleType]


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch) -> Load:
    """Imports a module of the benchmark, whose files import each other by bare names."""
    monkeypatch.syspath_prepend(FOLDER)
    return importlib.import_module


def test_batch_order_is_the_seed_s(load: Load) -> None:
    training = load("training")
    recipe = training.Recipe(epochs=3, batch_size=16, learning_rate=1e-3)
    order = training.batch_order(100, recipe, seed=1)
    assert order.shape == (3 * 6, 16)
    for epoch in order.reshape(3, 96):
        assert len(set(epoch.tolist())) == 96  # no sample twice in an epoch
    assert not np.array_equal(order[:6], order[6:12])
    np.testing.assert_array_equal(order, training.batch_order(100, recipe, seed=1))
    assert not np.array_equal(order, training.batch_order(100, recipe, seed=2))


@pytest.mark.parametrize(
    "zeros",
    [
        lambda s: 1 - math.exp(-5.5 * s),
        lambda s: 1 - (1 + 40 * s) ** -1.1,
        lambda s: 1 - math.exp(-4 * max(s - 0.3, 0)),
    ],
    ids=["exponential", "power", "late"],
)
def test_search_lands_on_the_goal(load: Load, zeros: Callable[[float], float]) -> None:
    """Six trainings suffice for curves like those that were seen, fewer with others' probes."""
    search = load("methods.lee_lee")
    others: list[tuple[float, float]] = []
    for goal, most in ((0.9, 6), (0.95, 4), (0.98, 4)):
        own: list[tuple[float, float]] = []
        while not own or abs((1 - own[-1][1]) / (1 - goal) - 1) > 0.03:
            strength = search.next_strength(goal, own, others)
            own.append((strength, zeros(strength)))
            assert len(own) <= most
        others += own


def test_search_leaves_a_strength_that_failed(load: Load) -> None:
    """Zeros that do not rise with the strength: the same strength must not come again."""
    search = load("methods.lee_lee")
    own = [(0.15, 0.51), (0.45, 0.923), (0.407, 0.9067), (0.396, 0.908)]
    assert 0.15 < search.next_strength(0.9, own, []) < 0.396


def test_search_grows_where_more_strength_gave_fewer_zeros(load: Load) -> None:
    """Beyond the two strongest there is no line to follow: it would lead below 0."""
    search = load("methods.lee_lee")
    assert search.next_strength(0.98, [(0.15, 0.91), (0.45, 0.90)], []) == pytest.approx(3 * 0.45)


def test_dense_output_layer_only_where_the_others_can_make_up(load: Load) -> None:
    output_layers = load("methods.tfmot").output_layers
    assert output_layers([784 * 300, 300 * 100, 1000], 0.98) == ("pruned", "dense")
    assert output_layers([500, 25_000, 400_000, 5_000], 0.99) == ("pruned",)  # LeNet-5


def test_names_of_settings_are_unique(load: Load) -> None:
    settings = list(load("settings").sweep())
    names = {setting.name for setting in settings}
    assert len(names) == len(settings)
    assert "lenet_300_100-ours-4x4-90-seed2" in {name.rpartition("-v")[0] for name in names}
    assert settings[0].method == "dense"
    assert settings[-1].method == "ours"
