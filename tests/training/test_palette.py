"""The best palette against all ways to divide a few magnitudes, and in the packer."""

from __future__ import annotations

import itertools

import numpy as np
import numpy.typing as npt
import pytest

from tflm_sparsesep.converters import native
from tflm_sparsesep.converters.blob.format import Layout, ValueType
from tflm_sparsesep.converters.blob.layouts import LAYOUTS
from tflm_sparsesep.converters.blob.pack import can_pack, pack, unpack
from tflm_sparsesep.training.palette import fit_palette, nearest_in, to_palette

PALETTE_LAYOUTS = [x for x in LAYOUTS if x.value_type is ValueType.PALETTE4]


def error(
    magnitudes: npt.NDArray[np.int64], importance: npt.NDArray[np.float64], palette: list[int]
) -> float:
    """Return the error that `fit_palette` minimizes, by its definition."""
    nearest = np.abs(magnitudes[:, None] - np.array([0, *palette])).min(axis=1)
    return float(np.sum(importance * nearest**2))


def least_error(magnitudes: npt.NDArray[np.int64], importance: npt.NDArray[np.float64]) -> float:
    """Over all ways to cut the ascending magnitudes into runs that share a value.

    The first run, which may be empty, goes to 0 and the last to 127; each of the 7 between to the
    whole number next to its mean.
    """
    count = len(magnitudes)
    best = np.inf
    for cuts in itertools.combinations(range(count), 8):
        runs = [slice(a, b) for a, b in itertools.pairwise(cuts)]
        means = [np.average(magnitudes[run], weights=importance[run]) for run in runs]
        best = min(best, error(magnitudes, importance, [*map(round, means), 127]))
    return best


@pytest.mark.parametrize("seed", range(4))
def test_no_other_palette_is_better(seed: int) -> None:
    rng = np.random.default_rng(seed)
    magnitudes = np.sort(rng.choice(np.arange(1, 127), 14, replace=False))
    magnitudes = np.append(magnitudes, 127)
    importance = rng.uniform(0.1, 2, len(magnitudes))
    palette = fit_palette(magnitudes, importance)
    assert palette.dtype == np.int64
    assert len(palette) == 8
    assert palette[-1] == 127
    assert np.all(np.diff(palette) > 0)
    assert palette[0] > 0
    # Both sums have 15 terms of float64, below 2 * 64^2 each.
    assert error(magnitudes, importance, palette.tolist()) == pytest.approx(
        least_error(magnitudes, importance), rel=1e-12, abs=1e-9
    )


def test_few_magnitudes_are_kept() -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        kept = np.append(rng.choice(np.arange(1, 127), 7, replace=False), 127)
        magnitudes = rng.choice(np.append(kept, 0), 200)
        # Tiny and huge scales: that no magnitude of the data moves must not hang on rounding.
        importance = 10.0 ** rng.uniform(-30, 6, 200)
        table = nearest_in(fit_palette(magnitudes, importance))
        np.testing.assert_array_equal(table[magnitudes], magnitudes)


def test_a_layer_of_zeros() -> None:
    assert fit_palette(np.zeros(4, np.int64), np.zeros(4))[-1] == 127
    np.testing.assert_array_equal(to_palette(np.zeros((2, 3), np.int8), np.zeros(2)), 0)


def test_nearest_is_the_lower_one_of_two() -> None:
    table = nearest_in(np.array([10, 20, 31, 127]))
    assert [table[m] for m in (0, 5, 6, 15, 16, 25, 26, 79, 80, 127)] == [
        *(0, 0, 10, 10, 20, 20, 31, 31, 127, 127)
    ]


@pytest.mark.xdist_group("tensorflow")
@pytest.mark.parametrize("layout", PALETTE_LAYOUTS, ids=str)
@pytest.mark.parametrize("zeros", [0.0, 0.5, 0.9, 0.996, 1.0])
def test_rounded_weights_pack_without_loss(layout: Layout, zeros: float) -> None:
    from tflm_sparsesep.training.packed_estimate import quantize_rows

    rng = np.random.default_rng(0)
    weights = rng.normal(size=(53, 811)) * (rng.random((53, 811)) >= zeros)
    quantized = quantize_rows(weights)
    rounded = to_palette(quantized.weights, np.abs(weights).max(axis=1) / 127)
    assert len(np.unique(rounded[rounded != 0])) <= 16
    # Signs, zeros and each output's largest weight stay.
    np.testing.assert_array_equal(rounded[quantized.weights == 0], 0)
    assert np.all(rounded * quantized.weights.astype(int) >= 0)
    largest = np.abs(quantized.weights) == 127
    np.testing.assert_array_equal(rounded[largest], quantized.weights[largest])
    # A second time changes nothing.
    np.testing.assert_array_equal(to_palette(rounded, np.ones(53)), rounded)
    layer = type(quantized)(**{**vars(quantized), "weights": rounded})
    assert can_pack(layer, layout)
    blob = pack(layer, layout)
    assert native.validate(blob) is None
    np.testing.assert_array_equal(unpack(blob).weights, rounded)
