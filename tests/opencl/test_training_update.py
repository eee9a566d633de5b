"""Adam and the proximal step on kept values equal the formulas in numpy.

The formulas are those of `training/proximal.py` with p = 1 (whose tests hold them to the
proximal operator's definition) and of Keras' Adam, written out again in float64. Error bounds
follow each float32 operation, u = 2^-24 each; square roots and divisions are allowed up to 3 ulp
= 6 u by OpenCL.
"""

from __future__ import annotations

import numpy as np
import pytest

from tests.opencl.oracle import U, random_layer
from tflm_sparsesep.opencl import CompressedMLP, Device, SparseLayer
from tflm_sparsesep.opencl.trainable_layer import AdamStep, TrainableLayer, features

RATE = 0.01
BATCH = 16


class Oracle:
    """Weights [blocks, rows, cols] or [rows] with Adam's moments, and the error of each."""

    def __init__(self, weights: np.ndarray) -> None:
        self.w = weights.astype(np.float64)
        self.m, self.v = np.zeros_like(self.w), np.zeros_like(self.w)
        self.w_error, self.m_error, self.v_error = (np.zeros_like(self.w) for _ in range(3))

    def adam(self, gradient: np.ndarray, count: int) -> None:
        g = gradient.astype(np.float64)
        # Each moment: a square, a difference, a product with a rounded rate, and then a sum.
        self.m_error = 0.9 * self.m_error + 0.1 * 4 * U * (np.abs(g) + np.abs(self.m))
        self.v_error = 0.999 * self.v_error + 0.001 * 5 * U * (g * g + self.v)
        self.m += (g - self.m) * 0.1
        self.v += (g * g - self.v) * 0.001
        self.m_error += U * np.abs(self.m)
        self.v_error += U * self.v
        size = RATE * np.sqrt(1 - 0.999**count) / (1 - 0.9**count)
        root = np.sqrt(self.v) + 1e-7
        root_error = self.v_error / np.maximum(np.sqrt(self.v), 1e-7) + 8 * U * root
        step = np.abs(self.m) / root
        self.w -= size * self.m / root
        self.w_error += size * (self.m_error + step * root_error) / root
        self.w_error += 10 * U * (size * step + np.abs(self.w))

    def proximal(self, threshold: float, count: int, inside: np.ndarray) -> None:
        """The step over blocks; `inside` says which of their weights the matrix has."""
        area = self.w[0].size
        d = np.where(inside, np.sqrt(self.v / (1 - 0.999**count)) + 1e-7, 0)
        d_error = self.v_error / np.maximum(np.sqrt(self.v), 1e-7) + 10 * U * d
        numbers = inside.sum(axis=(1, 2), keepdims=True)
        mean = d.sum(axis=(1, 2), keepdims=True) / numbers
        mean_error = d_error.sum(axis=(1, 2), keepdims=True) / numbers + area * U * mean
        norm = np.sqrt((self.w**2).sum(axis=(1, 2), keepdims=True) / area)
        # A root mean square moves by no more than that of the errors.
        norm_error = np.sqrt((self.w_error**2).sum(axis=(1, 2), keepdims=True) / area)
        norm_error += (area + 8) * U * norm
        kappa = threshold / mean
        kappa_error = kappa * (mean_error / mean + 12 * U)
        # Which side of the level a block is on must not depend on rounding.
        assert np.all(np.abs(norm - kappa) > norm_error + kappa_error)
        scale = np.maximum(norm - kappa, 0) / norm
        scale_error = (kappa * norm_error / norm + kappa_error) / norm + 10 * U
        self.w_error = scale * self.w_error + np.where(scale > 0, np.abs(self.w) * scale_error, 0)
        self.w *= scale


@pytest.mark.parametrize("strength", [0.0, 0.5, 3.0])
@pytest.mark.parametrize("pattern", ["1x1", "4x1", "2x4", "1x16"])
def test_steps_of_adam_and_the_penalty(device: Device, pattern: str, strength: float) -> None:
    rng = np.random.default_rng(5)
    # 2 rows and 3 columns beyond the last whole block of 4x4 and of 1x16.
    layer = random_layer(rng, 22, 35, pattern, zeros=0.3)
    trained, kernels = TrainableLayer(device, layer), device.kernels(layer.block, BATCH)
    inside = SparseLayer.from_dense(np.ones((22, 35)), pattern=pattern, keep_all=True).values
    inside = inside.reshape(*layer.grid, *layer.block)[layer.tile_rows, layer.tile_cols] == 1
    oracle, bias = Oracle(layer.values), Oracle(layer.bias)
    for count in range(1, 5):
        gradient = (inside * rng.normal(0, 0.1, layer.values.shape)).astype(np.float32)
        bias_gradient = np.zeros(features(22), np.float32)
        bias_gradient[:22] = rng.normal(0, 0.1, 22)
        first, second = (device.upload("gradients", g) for g in (gradient, bias_gradient))
        trained.update(kernels, first, second, AdamStep(RATE, count, strength))
        oracle.adam(gradient, count)
        if strength:
            oracle.proximal(RATE * strength, count, inside)
        bias.adam(bias_gradient[:22], count)
    found = trained.read()
    assert np.all(np.abs(found.values - oracle.w) <= oracle.w_error)
    assert np.all(np.abs(found.bias - bias.w) <= bias.w_error)
    assert np.array_equal(found.values.any(axis=(1, 2)), oracle.w.any(axis=(1, 2)))
    assert not np.signbit(found.values[found.values == 0]).any()
    assert not found.values[~inside].any()


def test_blocks_that_vanish_are_dropped_and_stay_zero(device: Device) -> None:
    rng = np.random.default_rng(6)
    layers = [
        random_layer(rng, 30, 40, "2x4", zeros=0.0),
        random_layer(rng, 5, 30, "1x1", zeros=0.0, activation=None),
    ]
    x = rng.normal(size=(256, 40)).astype(np.float32)
    y = rng.integers(0, 5, 256)
    mlp = CompressedMLP(layers, device=device)
    mlp.fit(x, y, epochs=10, batch_size=48, learning_rate=5e-3, strength=0.02)
    sparse = mlp.layers
    assert 0.2 < mlp.zeros < 0.95
    for before, after in zip(layers, sparse, strict=True):
        assert len(after.values) < len(before.values)
        assert after.values.any(axis=(1, 2)).all()
    history = mlp.fit(x, y, epochs=10, batch_size=48)
    assert history[-1].loss < history[0].loss
    for before, after in zip(sparse, mlp.layers, strict=True):
        assert np.array_equal(before.tile_rows, after.tile_rows)
        assert np.array_equal(before.tile_cols, after.tile_cols)


def test_layers_without_any_weight(device: Device) -> None:
    """Everything may vanish: biases alone go on learning how frequent classes are."""
    layers = [SparseLayer.from_dense(np.zeros((3, 4)), activation=None)]
    x, y = np.ones((64, 4), np.float32), np.full(64, 2)
    mlp = CompressedMLP(layers, device=device)
    # As argmax does, the first of equal outputs counts.
    assert mlp.evaluate(x, y).accuracy == 0
    assert mlp.evaluate(x, np.zeros(64, int)).accuracy == 1
    history = mlp.fit(x, y, epochs=20, learning_rate=0.1)
    assert history[0].loss == pytest.approx(np.log(3), rel=1e-6)  # float32's resolution, rounded up
    assert history[-1].loss < 0.1
