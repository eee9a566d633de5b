"""Dense training in float64, with bounds on what float32 may make of each number.

u = 2^-24 is the rounding error of one float32 operation. A sum of n products, in any order, with
or without fused multiply-add, differs by at most gamma(n) * sum |a b|, gamma(n) = n u / (1 - n u)
(Higham, Accuracy and Stability of Numerical Algorithms, section 3.1). Errors of the inputs go
through products as through their absolute values. Products of two errors are below 1e-9 of the
result and covered by counting n + 2 operations for n.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tflm_sparsesep.opencl import SparseLayer

U = 2.0**-24
# OpenCL's full profile: exp to 3 ulp, division to 2.5; 1 ulp is up to 2 u.
_EXP, _DIVIDE = 6 * U, 5 * U

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Bounded:
    """Exact values, and how far float32 may be off."""

    value: Array
    error: Array


def exact(values: npt.ArrayLike) -> Bounded:
    """Numbers that float32 holds exactly."""
    array = np.asarray(values, np.float64)
    return Bounded(array, np.zeros_like(array))


def product(a: Bounded, b: Bounded) -> Bounded:
    """a @ b in float32 sums."""
    n = a.value.shape[1] + 2
    gamma = n * U / (1 - n * U)
    size_a, size_b = np.abs(a.value), np.abs(b.value)
    error = gamma * size_a @ size_b + a.error @ size_b + size_a @ b.error
    return Bounded(a.value @ b.value, error)


def forward(layer: SparseLayer, x: Bounded) -> Bounded:
    """[samples, cols] -> [samples, rows]; the bias is one more product."""
    ones = exact(np.ones((len(x.value), 1)))
    entering = Bounded(np.hstack([x.value, ones.value]), np.hstack([x.error, ones.error]))
    weights = exact(np.vstack([layer.to_dense().T, layer.bias]))
    z = product(entering, weights)
    return Bounded(np.clip(z.value, layer.low, layer.high), z.error)


def through_limits(gradient: Bounded, x: Bounded, limits: tuple[float, float]) -> Bounded:
    """0 where x stands at a limit. Where rounding may decide that, the error is the gradient."""
    low, high = limits
    inside = (x.value > low) & (x.value < high)
    near = np.minimum(np.abs(x.value - low), np.abs(x.value - high)) <= x.error
    error = np.where(near & (x.error > 0), np.abs(gradient.value), 0) + gradient.error
    return Bounded(np.where(inside, gradient.value, 0), np.where(inside | near, error, 0))


def loss_gradient(logits: Bounded, labels: npt.NDArray[np.int64]) -> Bounded:
    """(softmax - one hot) / samples.

    An error e in logits changes p by at most p * (exp(2 e) - 1), and the differences from the
    largest logit are rounded by u times their size.
    """
    samples, classes = logits.value.shape
    differences = logits.value - logits.value.max(axis=1, keepdims=True)
    p = np.exp(differences)
    p /= p.sum(axis=1, keepdims=True)
    spread = logits.error.max(axis=1, keepdims=True) + U * np.abs(differences).max(
        axis=1, keepdims=True
    )
    # Two exponentials, a sum of `classes`, two divisions, one subtraction.
    relative = np.expm1(2 * spread) + 2 * _EXP + (classes + 2) * U + 2 * _DIVIDE
    value = (p - np.eye(classes)[labels]) / samples
    return Bounded(value, (p * relative + U) / samples)


def gradients(
    layers: list[SparseLayer], x: npt.NDArray[np.float32], labels: npt.NDArray[np.int64]
) -> list[tuple[Bounded, Bounded]]:
    """Of the mean cross-entropy: weights [rows, cols] and biases [rows] of each layer."""
    activations = [exact(x)]
    for layer in layers:
        activations.append(forward(layer, activations[-1]))
    gradient = loss_gradient(activations[-1], labels)
    ones = exact(np.ones((1, len(x))))
    found = []
    for i in reversed(range(len(layers))):
        inputs, layer = activations[i], layers[i]
        transposed = Bounded(gradient.value.T, gradient.error.T)
        bias = product(ones, gradient)
        found.append((product(transposed, inputs), Bounded(bias.value[0], bias.error[0])))
        if i > 0:
            entering = product(gradient, exact(layer.to_dense()))
            before = layers[i - 1]
            gradient = through_limits(entering, inputs, (before.low, before.high))
    return found[::-1]


def blocks_of(layer: SparseLayer, matrix: Array) -> Array:
    """The numbers of a matrix [rows, cols] at the places of the layer's blocks; 0 outside."""
    height, width = layer.block
    padded = np.pad(matrix, ((0, -layer.rows % height), (0, -layer.cols % width)))
    tiles = padded.reshape(layer.grid[0], height, layer.grid[1], width).transpose(0, 2, 1, 3)
    return tiles[layer.tile_rows, layer.tile_cols]


def random_layer(
    rng: np.random.Generator,
    rows: int,
    cols: int,
    pattern: str,
    *,
    zeros: float = 0.8,
    activation: str | None = "relu",
) -> SparseLayer:
    """A layer with that fraction of its blocks dropped."""
    height, width = map(int, pattern.split("x"))
    grid = rng.random((-(-rows // height), -(-cols // width))) >= zeros
    kept = grid.repeat(height, axis=0).repeat(width, axis=1)[:rows, :cols]
    scale = np.sqrt(2 / (cols * max(1 - zeros, 1 / cols)))
    weights = (kept * rng.normal(0, scale, (rows, cols))).astype(np.float32)
    bias = rng.normal(0, 0.1, rows).astype(np.float32)
    return SparseLayer.from_dense(weights, bias, pattern=pattern, activation=activation)
