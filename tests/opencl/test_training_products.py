"""Forward, backward and gradients on the device equal numpy's dense ones where weights are kept.

How far float32 may be off is computed along with them: see `oracle.py`.
"""

from __future__ import annotations

import numpy as np
import pytest

from tests.opencl import oracle
from tests.opencl.oracle import Bounded, blocks_of, exact, random_layer
from tflm_sparsesep.opencl import CompressedMLP, Device
from tflm_sparsesep.opencl.sparse_layer import PATTERNS
from tflm_sparsesep.opencl.trainable_layer import TrainableLayer, features, pad_features

# Remainders around blocks of 4 and 16, primes, a single unit, fewer units than a block.
SHAPES = ((1, 1), (3, 5), (16, 16), (17, 33), (30, 61), (97, 101))
# (vector of samples, lanes): as on CPUs, and as on GPUs.
DEVICES = ((16, 1), (4, 8), (8, 2))
BATCH = 48


def assert_within(found: np.ndarray, expected: Bounded) -> None:
    off = np.abs(found.astype(np.float64) - expected.value)
    # Storing the result rounds once more.
    allowed = expected.error + oracle.U * np.abs(expected.value)
    assert np.all(off <= allowed), f"{off.max()} off, allowed there {allowed[off > allowed].min()}"


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: f"{shape[0]}x{shape[1]}")
@pytest.mark.parametrize("pattern", PATTERNS)
def test_products_of_one_layer(device: Device, pattern: str, shape: tuple[int, int]) -> None:
    rows, cols = shape
    rng = np.random.default_rng(rows * cols)
    layer = random_layer(rng, rows, cols, pattern, zeros=0.6)
    x = rng.normal(size=(BATCH, cols)).astype(np.float32)
    x[rng.random(x.shape) < 0.3] = 0
    dy = rng.normal(size=(BATCH, rows)).astype(np.float32)

    on_device = TrainableLayer(device, layer)
    kernels = device.kernels(layer.block, BATCH)
    inputs = device.upload("activations", pad_features(x.T))
    output_gradient = device.upload("activations", pad_features(dy.T))
    outputs = device.zeros("activations", features(rows), BATCH)
    input_gradient = device.zeros("activations", features(cols), BATCH)
    value_gradient = device.zeros("gradients", *layer.values.shape)
    bias_gradient = device.zeros("gradients", features(rows))
    on_device.forward(kernels, inputs, outputs)
    limits = (0.0, 1.5)
    on_device.backward(kernels, output_gradient, inputs, limits, input_gradient)
    on_device.gradients(kernels, inputs, output_gradient, value_gradient, bias_gradient)

    expected = oracle.forward(layer, exact(x))
    assert_within(outputs.read()[:rows].T, expected)
    assert not outputs.read()[rows:].any()
    expected = oracle.product(exact(dy), exact(layer.to_dense()))
    expected = oracle.through_limits(expected, exact(x), limits)
    assert_within(input_gradient.read()[:cols].T, expected)
    expected = oracle.product(exact(dy.T), exact(x))
    in_blocks = Bounded(blocks_of(layer, expected.value), blocks_of(layer, expected.error))
    assert_within(value_gradient.read(), in_blocks)
    expected = oracle.product(exact(dy.T), exact(np.ones((BATCH, 1))))
    assert_within(bias_gradient.read()[:rows, np.newaxis], expected)


@pytest.mark.parametrize("zeros", [0.0, 0.9, 1.0])
@pytest.mark.parametrize("pattern", PATTERNS)
def test_gradients_of_a_network(device: Device, pattern: str, zeros: float) -> None:
    check_network(device, pattern, zeros, seed=1)


@pytest.mark.parametrize(("samples", "lanes"), DEVICES)
@pytest.mark.parametrize("pattern", ["1x1", "2x4", "4x4"])
def test_whatever_the_device_prefers(
    device: Device, pattern: str, samples: int, lanes: int
) -> None:
    other = Device(device.name, samples=samples, lanes=lanes)
    check_network(other, pattern, 0.8, seed=2)


def check_network(device: Device, pattern: str, zeros: float, *, seed: int) -> None:
    rng = np.random.default_rng(seed)
    layers = [
        random_layer(rng, 43, 67, pattern, zeros=zeros),
        random_layer(rng, 29, 43, "1x4", zeros=zeros / 2),
        random_layer(rng, 7, 29, pattern, zeros=zeros, activation=None),
    ]
    x = rng.normal(size=(37, 67)).astype(np.float32)
    labels = rng.integers(0, 7, 37)
    found = CompressedMLP(layers, device=device).gradients(x, labels)
    for layer, (values, bias), expected in zip(
        layers, found, oracle.gradients(layers, x, labels), strict=True
    ):
        weights, biases = expected
        in_blocks = Bounded(blocks_of(layer, weights.value), blocks_of(layer, weights.error))
        assert_within(values, in_blocks)
        assert_within(bias, biases)
