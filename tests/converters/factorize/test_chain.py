"""Several layers: losses against finite differences, importance, joint refit."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest

from benchmarks.factorize import sparse_chain
from tflm_sparsesep.converters.errors import ConfigError
from tflm_sparsesep.converters.factorize import chain, joint_refit
from tflm_sparsesep.converters.factorize.chain import OutputLoss, RealLayer

LOSSES = [OutputLoss(None), OutputLoss(1.0), OutputLoss(4.0)]


def network(samples: int = 600) -> tuple[list[RealLayer], np.ndarray]:
    """20 -> 16 -> 12 -> 4 with ReLU and ReLU6; inputs of 8 hidden causes."""
    rng = np.random.default_rng(0)
    sizes, layers = (20, 16, 12, 4), []
    for cols, rows in itertools.pairwise(sizes):
        w = rng.normal(size=(rows, cols)) / math.sqrt(cols / 2)
        layers.append(RealLayer(w, 0.1 * rng.normal(size=rows), 0.0))
    layers[1] = RealLayer(layers[1].weights, layers[1].bias, 0.0, 6.0)
    layers[2] = RealLayer(2 * layers[2].weights, layers[2].bias)
    mixing = rng.normal(size=(8, 20)) / 2
    x = rng.normal(size=(samples, 8)) @ mixing
    return layers, x + 0.1 * rng.normal(size=x.shape)


def loss_of(layers: list[RealLayer], dense: list[RealLayer], x: np.ndarray) -> float:
    wanted = chain.forward(dense, x).outputs[-1]
    return OutputLoss().value(chain.forward(layers, x).outputs[-1], wanted)


def test_forward_is_the_layers_one_by_one() -> None:
    layers, x = network()
    flow = chain.forward(layers, x)
    first = np.maximum(x @ layers[0].weights.T + layers[0].bias, 0)
    second = np.clip(first @ layers[1].weights.T + layers[1].bias, 0, 6)
    last = second @ layers[2].weights.T + layers[2].bias
    np.testing.assert_allclose(flow.inputs[2], second, rtol=1e-12)
    np.testing.assert_allclose(flow.outputs[2], last, rtol=1e-12)
    np.testing.assert_array_equal(flow.passes(layers, 1), (second > 0) & (second < 6))


@pytest.mark.parametrize("loss", LOSSES)
def test_loss_gradient_and_curvature_by_differences(loss: OutputLoss) -> None:
    rng = np.random.default_rng(0)
    found, wanted, step = rng.normal(size=(3, 5, 7)) * 3
    assert loss.value(wanted, wanted) == pytest.approx(0, abs=1e-14)
    size = 1e-6
    ahead, behind = found + size * step, found - size * step
    slope = (loss.value(ahead, wanted) - loss.value(behind, wanted)) / (2 * size)
    gradient = loss.gradient(found, wanted)
    # Central differences: about 1e-16 / 1e-6 of rounding plus 1e-12 of cubic terms.
    assert slope == pytest.approx(float((gradient * step).sum()) / len(found), rel=1e-7, abs=1e-8)
    bent = (loss.gradient(ahead, wanted) - loss.gradient(behind, wanted)) / (2 * size)
    np.testing.assert_allclose(loss.curvature(found, step), bent, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("loss", LOSSES)
def test_root_has_the_curvature_as_covariance(loss: OutputLoss) -> None:
    found = np.random.default_rng(0).normal(size=(1, 3)) * 2
    signs = np.array([[a, b, c] for a in (-1, 1) for b in (-1, 1) for c in (-1, 1)], np.float64)
    roots = loss.root(found.repeat(8, axis=0), signs)
    curvature = loss.curvature(found.repeat(3, axis=0), np.eye(3))
    np.testing.assert_allclose(roots.T @ roots / 8, curvature, atol=1e-12)


def test_importance_is_what_an_error_costs() -> None:
    layers, x = network()
    found = chain.importance(layers, x)
    dense = chain.forward(layers, x).outputs[-1]
    for row in (0, 5, 11):
        size = 1e-3
        z = chain.forward(layers, x).outputs[1].copy()
        z[:, row] += size
        hidden = np.clip(z, layers[1].lower, layers[1].upper)
        moved = hidden @ layers[2].weights.T + layers[2].bias
        measured = 2 * OutputLoss().value(moved, dense) / size**2
        # 16 signs for each of 600 samples: some 2% of noise; kinks crossed by 1e-3: under 1%.
        assert found[1][row] == pytest.approx(measured, rel=0.1)


def test_joint_refit_keeps_zeros_and_comes_closer() -> None:
    dense, samples = network(1600)
    x, unseen = samples[:600], samples[600:]
    layers = sparse_chain.sparsify(dense, x, 150, stages=1, refits=0)
    matter, wanted = chain.importance(dense, x), chain.forward(dense, x).outputs
    found = joint_refit.refit(layers, wanted, x, matter, steps=4)
    for before, after in zip(layers, found, strict=True):
        assert not after.weights[before.weights == 0].any()
        assert after.weights.dtype == np.float64
    assert loss_of(found, dense, x) < loss_of(layers, dense, x)
    assert loss_of(found, dense, unseen) < loss_of(layers, dense, unseen)


def test_joint_refit_mends_what_has_entered_and_moves_free_layers() -> None:
    dense, samples = network(1600)
    # The first layer has lost an input for good, the second is two factors.
    entering = samples * (np.arange(samples.shape[1]) != 0)
    u, s, v = np.linalg.svd(dense[1].weights, full_matrices=False)
    factors = [
        chain.RealLayer(v[:6], np.zeros(6)),
        replace(dense[1], weights=u[:, :6] * s[:6]),
    ]
    layers = [dense[0], *factors, *dense[2:]]
    wanted = chain.forward(dense, samples).outputs
    x, unseen = entering[:600], entering[600:]
    targets = [wanted[0][:600], None, *(z[:600] for z in wanted[1:])]
    found = joint_refit.refit(layers, targets, x, chain.importance(dense, samples), steps=4)
    assert not np.array_equal(found[1].weights, factors[0].weights)
    loss = OutputLoss()
    before, after = (
        loss.value(chain.forward(n, unseen).outputs[-1], wanted[-1][600:]) for n in (layers, found)
    )
    assert after < 0.7 * before


def test_joint_refit_leaves_what_is_right() -> None:
    dense, x = network()
    wanted = chain.forward(dense, x).outputs
    found = joint_refit.refit(dense, wanted, x, chain.importance(dense, x), steps=1)
    for before, after in zip(dense, found, strict=True):
        np.testing.assert_allclose(after.weights, before.weights, rtol=1e-6)


def test_refusals() -> None:
    dense, x = network()
    with pytest.raises(ConfigError, match="19 samples; accepted: at least 20"):
        joint_refit.refit(dense, [None] * 3, x[:19], [])
