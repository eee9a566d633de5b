"""Gram matrices: moments, what they say of errors, targets, damping and image patches."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tflm_sparsesep.converters.errors import ConfigError
from tflm_sparsesep.converters.factorize import gram
from tflm_sparsesep.converters.factorize.gram import GramAccumulator

RNG = np.random.default_rng(0)
# Sums of some hundred products of numbers near 1, in float64.
TOLERANCE: dict[str, Any] = {"rtol": 1e-10, "atol": 1e-10}


@pytest.mark.parametrize("refit_bias", [True, False])
@pytest.mark.parametrize("offset", [0.0, 1000.0])
def test_error_is_the_mean_squared_error_of_outputs(refit_bias: bool, offset: float) -> None:
    x = RNG.normal(size=(101, 7)) + offset
    w, compressed = RNG.normal(size=(2, 3, 7))
    found = gram.accumulate([x[:13], x[13:50], x[50:]], refit_bias=refit_bias)
    difference = x @ (w - compressed).T - found.bias_shift(w, compressed)
    measured = np.square(difference).sum(axis=1).mean()
    # Moments about a mean of 1000 lose 6 of 16 digits when squared.
    np.testing.assert_allclose(found.error(w - compressed), measured, rtol=1e-8)
    assert found.samples == 101
    assert bool(found.mean.any()) == refit_bias


def test_leading_axes_are_samples() -> None:
    x = RNG.normal(size=(4, 5, 6, 3))
    np.testing.assert_allclose(
        gram.accumulate([x]).matrix, gram.accumulate([x.reshape(-1, 3)]).matrix, **TOLERANCE
    )


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_few_vectors_have_the_moments_of_many(dtype: type) -> None:
    x: np.ndarray = (RNG.normal(size=(500, 6)) @ RNG.normal(size=(6, 6)) + 3).astype(dtype)
    parts = [x, x[:, :4] @ RNG.normal(size=(4, 2)).astype(dtype)]  # the second depends on the first
    few = gram.few_vectors(*parts)
    assert [one.shape for one in few] == [(9, 6), (9, 2)]
    assert {one.dtype for one in few} == {np.dtype(dtype)}
    many, joined = np.hstack(parts), np.hstack(few)
    tolerance = 1e-4 if dtype is np.float32 else 1e-9
    np.testing.assert_allclose(joined.mean(axis=0), many.mean(axis=0), rtol=tolerance)
    np.testing.assert_allclose(
        joined.T @ joined / len(joined), many.T @ many / len(many), rtol=tolerance, atol=tolerance
    )
    for part, same in zip(parts, gram.few_vectors(*(p[:9] for p in parts)), strict=True):
        np.testing.assert_array_equal(same, part[:9])


def test_target_weights_are_the_least_squares_solution() -> None:
    x = RNG.normal(size=(200, 5)) + 2
    y = RNG.normal(size=(200, 3))
    accumulator = GramAccumulator()
    accumulator.add(x[:90], y[:90])
    accumulator.add(x[90:], y[90:])
    found, bias = accumulator.finish().target_weights(np.zeros((3, 5)), damping=1e-13)
    solution = np.linalg.lstsq(np.column_stack([x, np.ones(200)]), y)[0]
    np.testing.assert_allclose(found, solution[:5].T, rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(bias, solution[5], rtol=1e-7, atol=1e-9)


def test_unchanged_inputs_have_the_dense_weights_as_targets() -> None:
    x, w, b = RNG.normal(size=(50, 6)), RNG.normal(size=(2, 6)), RNG.normal(size=2)
    accumulator = GramAccumulator()
    accumulator.add(x, x @ w.T + b)
    found, bias = accumulator.finish().target_weights(w, damping=0.5)
    np.testing.assert_allclose(found, w, **TOLERANCE)
    np.testing.assert_allclose(bias, b, **TOLERANCE)


def test_damping_is_relative_and_helps_inputs_that_are_always_zero() -> None:
    x = RNG.normal(size=(30, 4)) * [1, 10, 0, 5]
    found, scaled = gram.accumulate([x]), gram.accumulate([3 * x])
    np.testing.assert_allclose(9 * found.damped(0.1).matrix, scaled.damped(0.1).matrix, **TOLERANCE)
    assert np.linalg.eigvalsh(found.damped(1e-3).matrix).min() > 0
    assert np.linalg.eigvalsh(gram.accumulate([0 * x]).damped(1e-3).matrix).min() > 0


def test_moments_about_another_mean() -> None:
    x, mean = RNG.normal(size=(20, 3)), np.array([1.0, -2.0, 0.5])
    expected = (x - mean).T @ (x - mean) / 20
    np.testing.assert_allclose(gram.accumulate([x]).about(mean).matrix, expected, **TOLERANCE)


def test_few_noisy_samples_ask_for_more_damping() -> None:
    rng = np.random.default_rng(1)
    w, x = rng.normal(size=(1, 20)), rng.normal(size=(24, 20))

    def first_half(moments: gram.Gram) -> np.ndarray:
        kept = np.zeros_like(w)
        inner = moments.matrix[:10, :10]
        kept[:, :10] = np.linalg.solve(inner, (w @ moments.matrix)[0, :10])
        return kept

    many = gram.accumulate([rng.normal(size=(5000, 20))])
    dampings = (1e-6, 1.0)
    assert gram.choose_damping(w, gram.accumulate([x]), many, first_half, dampings) == 1.0
    correlated = rng.normal(size=(5000, 20)) @ rng.normal(size=(20, 20))
    seen, held_out = gram.accumulate([correlated[:4000]]), gram.accumulate([correlated[4000:]])
    assert gram.choose_damping(w, seen, held_out, first_half, dampings) == 1e-6


@pytest.mark.parametrize("same", [True, False])
@pytest.mark.parametrize(
    ("kernel", "strides"), [((3, 3), (1, 1)), ((1, 5), (2, 1)), ((3, 2), (2, 3))]
)
def test_patches_times_kernel_are_the_convolution(
    kernel: tuple[int, int], strides: tuple[int, int], same: bool
) -> None:
    images = RNG.normal(size=(2, 8, 7, 3))
    weights = RNG.normal(size=(4, *kernel, 3))
    found = gram.patches(images, kernel, strides=strides, same=same) @ weights.reshape(4, -1).T
    assert found.shape[1:3] == tuple(
        -(-n // s) if same else (n - k) // s + 1
        for n, k, s in zip((8, 7), kernel, strides, strict=True)
    )
    pads = [
        max((-(-n // s) - 1) * s + k - n, 0) // 2 if same else 0
        for n, k, s in zip((8, 7), kernel, strides, strict=True)
    ]
    for y, x in np.ndindex(found.shape[1:3]):
        expected = np.zeros((2, 4))
        for i, j in np.ndindex(kernel):
            row, col = y * strides[0] + i - pads[0], x * strides[1] + j - pads[1]
            if 0 <= row < 8 and 0 <= col < 7:
                expected += images[:, row, col] @ weights[:, i, j].T
        np.testing.assert_allclose(found[:, y, x], expected, **TOLERANCE)


def test_refusals() -> None:
    accumulator = GramAccumulator()
    with pytest.raises(ConfigError, match="no samples"):
        accumulator.finish()
    with pytest.raises(ConfigError, match="NaN"):
        accumulator.add(np.array([[np.nan]]))
    accumulator.add(np.ones((2, 3)))
    with pytest.raises(ConfigError, match=r"\(2, 4\).*\[n, 3\]"):
        accumulator.add(np.ones((2, 4)))
    with pytest.raises(ConfigError, match="targets"):
        accumulator.add(np.ones((2, 3)), np.ones((2, 1)))
    with pytest.raises(ConfigError, match="no targets"):
        accumulator.finish().target_weights(np.ones((1, 3)))
    for damping in (0.0, -1.0, float("nan")):
        with pytest.raises(ConfigError, match="damping"):
            gram.identity(3).damped(damping)
