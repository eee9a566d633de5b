"""Approximate a depthwise convolution by d x 1 and 1 x e: each kernel by an outer product.

    W[c, i, j] ~ v[c, i] u[c, j]

Singular values give the closest product in closed form. With data, each channel's error is
(w - v u)^T G (w - v u) with the Gram matrix G of its own patches, d e x d e: quadratic in v and in
u. Starting from the closed form, each in turn is solved for exactly (alternating least squares),
for all channels at once; the errors never grow.

Weights are [channels, taps], taps in the order of rows; patches [n, taps, channels], as
`gram.patches` orders them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from tflm_sparsesep.converters.factorize.gram import Matrix, Vector
from tflm_sparsesep.converters.factorize.separation import separate_depthwise

Array = npt.NDArray[np.float64]

_TURNS = 20


@dataclass(frozen=True)
class ChannelMoments:
    """Second moments of the inputs of each channel, about their means.

    Attributes:
        grams: float64[channels, taps, taps].
        means: float64[channels, taps].
        cross: float64[channels, taps], moments with the wanted outputs, or None.
        target_means: float64[channels] of the wanted outputs, or None.
    """

    grams: Array
    means: Matrix
    cross: Matrix | None = None
    target_means: Vector | None = None

    @classmethod
    def of(cls, patches: npt.NDArray[Any], targets: Matrix | None = None) -> ChannelMoments:
        """Return the moments of patches [n, taps, channels] and wanted outputs [n, channels]."""
        channels = np.ascontiguousarray(patches.transpose(2, 0, 1), np.float64)
        means = channels.mean(axis=1)
        channels = channels - means[:, None]
        grams = channels.transpose(0, 2, 1) @ channels / len(patches)
        if targets is None:
            return cls(grams, means)
        target_means = targets.mean(axis=0)
        cross = np.einsum("cnt,nc->ct", channels, targets - target_means) / len(patches)
        return cls(grams, means, cross, target_means)

    def damped(self, damping: float) -> ChannelMoments:
        """Return the moments with damping * mean(diag) added per channel; silent channels get 1."""
        taps = self.grams.shape[1]
        scale = np.trace(self.grams, axis1=1, axis2=2) / taps
        scale = damping * np.where(scale > 0, scale, 1.0)
        return replace(self, grams=self.grams + scale[:, None, None] * np.eye(taps))

    def errors(self, difference: Matrix) -> Vector:
        """Return mean squared errors float64[channels] for weight differences [channels, taps]."""
        found: Vector = np.einsum("ct,ctu,cu->c", difference, self.grams, difference)
        return found

    def target_weights(self, weights: Matrix, *, damping: float) -> tuple[Matrix, Vector]:
        """Return weights and bias closest to the targets; see `Gram.target_weights`."""
        assert self.cross is not None  # callers gave targets
        assert self.target_means is not None
        missing = self.cross - np.einsum("ctu,cu->ct", self.grams, weights)
        grams = self.damped(damping).grams
        target = weights + np.linalg.solve(grams, missing[:, :, None])[:, :, 0]
        return target, self.target_means - (target * self.means).sum(axis=1)


def outputs(weights: Matrix, patches: npt.NDArray[Any]) -> Matrix:
    """Return the products of weights [channels, taps] and patches [n, taps, channels]."""
    found: Matrix = np.einsum("ntc,ct->nc", patches, weights)
    return found


def separate(
    weights: Matrix,
    kernel: tuple[int, int],
    moments: ChannelMoments | None = None,
    *,
    turns: int = _TURNS,
) -> tuple[Matrix, Matrix]:
    """Return factors float64[channels, d] and float64[channels, e] of the d x e kernels.

    Args:
        weights: float64[channels, d * e].
        kernel: d and e.
        moments: damped; None for the closed form without data.
        turns: of alternating least squares, with data.

    Example:
        >>> down, right = separate(np.array([[1.0, 2.0, 2.0, 4.0]]), (2, 2))
        >>> (down[0][:, None] * right[0]).round(6).tolist()
        [[1.0, 2.0], [2.0, 4.0]]
    """
    height, width = kernel
    closed = separate_depthwise(weights.reshape(-1, height, width).transpose(1, 2, 0))
    down, right = closed.vertical[:, 0].T, closed.horizontal[0].T
    if moments is None:
        return down, right
    grams = moments.grams.reshape(-1, height, width, height, width)
    wanted = np.einsum("ctu,cu->ct", moments.grams, weights).reshape(-1, height, width)
    for _ in range(turns):
        normal = np.einsum("cijkl,cj,cl->cik", grams, right, right, optimize=True)
        down = _solved(normal, np.einsum("cij,cj->ci", wanted, right), down)
        normal = np.einsum("cijkl,ci,ck->cjl", grams, down, down, optimize=True)
        right = _solved(normal, np.einsum("cij,ci->cj", wanted, down), right)
    # Equal magnitudes on either side, so that both quantize alike.
    sizes = np.linalg.norm(right, axis=1) / np.maximum(np.linalg.norm(down, axis=1), 1e-300)
    root = np.sqrt(np.where(sizes > 0, sizes, 1.0))[:, None]
    return down * root, right / root


def product(down: Matrix, right: Matrix) -> Matrix:
    """Return the weights [channels, d * e] that are the product of the factors."""
    return (down[:, :, None] * right[:, None, :]).reshape(len(down), -1)


def _solved(normal: Array, wanted: Matrix, before: Matrix) -> Matrix:
    """Solve for each channel; a channel whose other factor is 0 stays unchanged."""
    alive = np.trace(normal, axis1=1, axis2=2) > 0
    found = before.copy()
    found[alive] = np.linalg.solve(normal[alive], wanted[alive][:, :, None])[:, :, 0]
    return found
