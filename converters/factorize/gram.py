"""Gram matrices: all that a least-squares compression needs to know of a layer's inputs.

For y = W x + b, W [rows, cols], and compressed weights W' the mean squared error over samples x is

    E||(W - W') x + b - b'||^2 = tr((W - W') G (W - W')^T),   G = E[(x - mean) (x - mean)^T],

if the bias may follow, b' = b + (W - W') mean. If it may not, G is E[x x^T]: the mean counts as 0.
Damping adds damping * mean(diag G) to the diagonal: G becomes invertible, and directions that the
samples hardly show are not written off. It is chosen on samples that were held out.

Memory: 8 cols^2 bytes. Time: cols^2 multiply-adds a sample.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import linalg

from tflm_sparsesep.converters.errors import ConfigError

Matrix = npt.NDArray[np.float64]
Vector = npt.NDArray[np.float64]

# Relative to the mean of the diagonal.
DAMPINGS = (1e-4, 1e-3, 1e-2, 1e-1)


@dataclass(frozen=True)
class Gram:
    """Second moments of a layer's inputs.

    matrix: float64[cols, cols], about `mean`, symmetric.
    mean: float64[cols]; zeros where the bias must stay as it is.
    samples: how many were seen; 0 without data.
    cross: float64[rows, cols] second moments of targets with inputs, or None without targets.
    target_mean: float64[rows], or None.

    Example:
        >>> gram = accumulate([np.array([[1.0, 0.0], [3.0, 0.0]])])
        >>> gram.matrix.tolist(), gram.mean.tolist()
        ([[1.0, 0.0], [0.0, 0.0]], [2.0, 0.0])
    """

    matrix: Matrix
    mean: Vector
    samples: int = 0
    cross: Matrix | None = None
    target_mean: Vector | None = None

    @property
    def cols(self) -> int:
        """Number of inputs of the layer."""
        return len(self.matrix)

    def damped(self, damping: float) -> Gram:
        """With damping * mean(diag) on the diagonal; all-zero inputs count as of variance 1."""
        if not (math.isfinite(damping) and damping > 0):
            raise ConfigError(f"damping is {damping!r}; accepted: a finite number above 0")
        scale = float(np.trace(self.matrix)) / self.cols or 1.0
        return replace(self, matrix=self.matrix + damping * scale * np.eye(self.cols))

    def about(self, mean: Vector) -> Gram:
        """The same samples' moments about another mean."""
        shift = self.mean - mean
        return Gram(self.matrix + np.outer(shift, shift), mean, self.samples)

    def error(self, difference: Matrix) -> float:
        """tr(D G D^T): the mean squared error summed over outputs, for W - W' [rows, cols]."""
        return float(np.einsum("rc,rc->", difference @ self.matrix, difference))

    def bias_shift(self, weights: Matrix, compressed: Matrix) -> Vector:
        """What to add to the bias, float64[rows]."""
        shift: Vector = (weights - compressed) @ self.mean
        return shift

    def target_weights(self, weights: Matrix, *, damping: float = 1e-2) -> tuple[Matrix, Vector]:
        """Dense weights and bias which, on these inputs, come closest to the targets.

        The inputs of a layer behind compressed ones have changed, its wanted outputs have not.
        The least-squares solution W* = W + (cross - W G) (G + damping)^-1 takes up what it can;
        its ridge pulls towards W. For any W', E||W' x + b' - y||^2 = tr((W' - W*) G (W' - W*)^T)
        + a constant (damping aside), so W* takes the place of W in all other functions here.

        Args:
            weights: float64[rows, cols], the dense layer's.

        Raises:
            ConfigError: targets were not accumulated.
        """
        if self.cross is None or self.target_mean is None:
            raise ConfigError("these Gram matrices have no targets; accepted: accumulate them too")
        missing = self.cross - weights @ self.matrix
        change = linalg.solve(self.damped(damping).matrix, missing.T, assume_a="pos").T
        target = weights + change
        return target, self.target_mean - target @ self.mean


class GramAccumulator:
    """Sums moments over batches; sums are about the first batch's mean, against cancellation."""

    def __init__(self, *, refit_bias: bool = True) -> None:
        self._refit_bias = refit_bias
        self._samples = 0
        self._origin: Vector | None = None
        self._target_origin: Vector | None = None

    def add(self, inputs: npt.NDArray[Any], targets: npt.NDArray[Any] | None = None) -> None:
        """Adds a batch: inputs [..., cols] and, always or never, wanted outputs [..., rows].

        Raises:
            ConfigError: shapes do not fit those before, or values are not finite.
        """
        x = _rows(inputs, "inputs")
        y = np.empty((len(x), 0)) if targets is None else _rows(targets, "targets")
        if self._origin is None or self._target_origin is None:
            self._start(x, y)
        assert self._origin is not None  # by _start
        assert self._target_origin is not None
        expected = (self._origin.size, len(x), self._target_origin.size)
        if (x.shape[1], *y.shape) != expected:
            raise ConfigError(
                f"a batch has inputs {x.shape} and targets {y.shape}; "
                f"accepted: [n, {expected[0]}] and [n, {expected[2]}], as the first"
            )
        x, y = x - self._origin, y - self._target_origin
        self._samples += len(x)
        self._x += x.sum(axis=0)
        self._y += y.sum(axis=0)
        self._xx += x.T @ x
        self._yx += y.T @ x

    def _start(self, x: Matrix, y: Matrix) -> None:
        self._origin = x.mean(axis=0) if self._refit_bias else np.zeros(x.shape[1])
        self._target_origin = y.mean(axis=0) if self._refit_bias else np.zeros(y.shape[1])
        self._x, self._y = np.zeros_like(self._origin), np.zeros_like(self._target_origin)
        self._xx = np.zeros((x.shape[1], x.shape[1]))
        self._yx = np.zeros((y.shape[1], x.shape[1]))

    def finish(self) -> Gram:
        """The moments of all batches.

        Raises:
            ConfigError: there was no sample.
        """
        if self._origin is None or self._target_origin is None:
            raise ConfigError("no samples; accepted: at least one batch of a layer's inputs")
        xx, yx = self._xx / self._samples, self._yx / self._samples
        mean, target_mean = self._origin, self._target_origin
        if self._refit_bias:
            dx, dy = self._x / self._samples, self._y / self._samples
            xx, yx = xx - np.outer(dx, dx), yx - np.outer(dy, dx)
            mean, target_mean = mean + dx, target_mean + dy
        if not target_mean.size:
            return Gram(xx, mean, self._samples)
        return Gram(xx, mean, self._samples, yx, target_mean)


def accumulate(batches: Iterable[npt.NDArray[Any]], *, refit_bias: bool = True) -> Gram:
    """The Gram matrix of batches [..., cols]; see `GramAccumulator`."""
    accumulator = GramAccumulator(refit_bias=refit_bias)
    for batch in batches:
        accumulator.add(batch)
    return accumulator.finish()


def identity(cols: int) -> Gram:
    """The Gram matrix for want of data: all inputs alike and independent, of mean 0."""
    return Gram(np.eye(cols), np.zeros(cols))


def patches(
    images: npt.NDArray[Any],
    kernel: tuple[int, int],
    *,
    strides: tuple[int, int] = (1, 1),
    same: bool = False,
) -> npt.NDArray[Any]:
    """What a convolution multiplies its kernel with, for the Gram matrix of a convolution.

    Args:
        images: [batch, height, width, channels].
        kernel: height and width.
        same: zeros around, as TensorFlow pads, instead of VALID.

    Returns:
        [batch, out_height, out_width, kernel_height * kernel_width * channels], the last axis in
        the order of a kernel [outputs, kernel_height, kernel_width, channels].
    """
    if same:
        sizes = zip(images.shape[1:3], kernel, strides, strict=True)
        pads = [same_padding(*axis) for axis in sizes]
        images = np.pad(images, ((0, 0), *pads, (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(images, kernel, axis=(1, 2))
    windows = windows[:, :: strides[0], :: strides[1]].transpose(0, 1, 2, 4, 5, 3)
    return windows.reshape(*windows.shape[:3], -1)


def choose_damping(
    weights: Matrix,
    seen: Gram,
    held_out: Gram,
    compress: Callable[[Gram], Matrix],
    dampings: Iterable[float] = DAMPINGS,
) -> float:
    """The damping with which `compress` does best on samples that it has not seen.

    Args:
        weights: float64[rows, cols].
        seen: moments of most of the samples.
        held_out: moments of the others.
        compress: damped Gram matrix -> compressed weights [rows, cols].

    Example:
        >>> rng = np.random.default_rng(0)
        >>> x = rng.normal(size=(60, 4))
        >>> seen, held_out = accumulate([x[:40]]), accumulate([x[40:]])
        >>> first_two = lambda gram: np.array([[1.0, 1.0, 0.0, 0.0]])
        >>> choose_damping(np.ones((1, 4)), seen, held_out, first_two)
        0.0001
    """
    moments = held_out.about(seen.mean)
    return min(dampings, key=lambda d: moments.error(weights - compress(seen.damped(d))))


def _rows(values: npt.NDArray[Any], what: str) -> Matrix:
    rows = np.asarray(values, np.float64).reshape(-1, np.shape(values)[-1])
    if not np.isfinite(rows).all():
        raise ConfigError(f"{what} hold NaN or infinity; accepted: finite numbers")
    return rows


def same_padding(size: int, kernel: int, stride: int) -> tuple[int, int]:
    """Zeros before and behind, as TensorFlow pads."""
    total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2
