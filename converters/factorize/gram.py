"""Gram matrices: the second moments of a layer's inputs, sufficient for least squares.

For y = W x + b, W [rows, cols], and compressed weights W' the mean squared error over samples x is

    E||(W - W') x + b - b'||^2 = tr((W - W') G (W - W')^T),   G = E[(x - mean) (x - mean)^T],

if the bias is corrected, b' = b + (W - W') mean. Otherwise G is E[x x^T]: the mean counts as 0.
Damping adds damping * mean(diag G) to the diagonal: G becomes invertible, and directions in which
the samples hardly vary still count. It is chosen on held-out samples.

Memory: 8 cols^2 bytes. Time: cols^2 multiply-adds a sample.
"""

from __future__ import annotations

import functools
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

    Factorizations of the matrix are computed once: all fits of a layer share them.

    Attributes:
        matrix: float64[cols, cols], about `mean`, symmetric.
        mean: float64[cols]; zeros where the bias must stay as it is.
        samples: number of samples; 0 without data.
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

    @functools.cached_property
    def cholesky(self) -> Matrix:
        """The lower Cholesky factor. Raises ConfigError where the matrix is singular."""
        try:
            factor: Matrix = linalg.cholesky(self.matrix, lower=True)
        except linalg.LinAlgError:
            raise ConfigError("the Gram matrix is singular; accepted: one that is damped") from None
        return factor

    @functools.cached_property
    def spectrum(self) -> tuple[Vector, Matrix]:
        """Eigenvalues and eigenvectors (columns) of the correlation matrix."""
        power = np.sqrt(np.diag(self.matrix))
        values, vectors = linalg.eigh(self.matrix / np.outer(power, power))
        return values, vectors

    def damped(self, damping: float) -> Gram:
        """Return the moments with damping * mean(diag) added to the diagonal.

        Inputs that are all zero count as of variance 1.
        """
        if not (math.isfinite(damping) and damping > 0):
            raise ConfigError(f"damping is {damping!r}; accepted: a finite number above 0")
        scale = float(np.trace(self.matrix)) / self.cols or 1.0
        return replace(self, matrix=self.matrix + damping * scale * np.eye(self.cols))

    def about(self, mean: Vector) -> Gram:
        """Return the moments of the same samples about another mean."""
        shift = self.mean - mean
        return Gram(self.matrix + np.outer(shift, shift), mean, self.samples)

    def error(self, difference: Matrix) -> float:
        """Return tr(D G D^T), the mean squared error summed over outputs, for D = W - W'."""
        return float(np.einsum("rc,rc->", difference @ self.matrix, difference))

    def bias_shift(self, weights: Matrix, compressed: Matrix) -> Vector:
        """Return the correction of the bias, float64[rows]."""
        shift: Vector = (weights - compressed) @ self.mean
        return shift

    def target_weights(self, weights: Matrix, *, damping: float = 1e-2) -> tuple[Matrix, Vector]:
        """Return the dense weights and bias that come closest to the targets on these inputs.

        After compressed layers, the inputs of a layer have changed, its targets have not. The
        least-squares solution W* = W + (cross - W G) (G + damping)^-1 compensates for the change;
        its ridge pulls towards W. For any W', E||W' x + b' - y||^2 = tr((W' - W*) G (W' - W*)^T)
        + a constant (damping aside), so W* replaces W in all other functions here.

        Args:
            weights: float64[rows, cols] of the dense layer.
            damping: relative to the mean of the diagonal.

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
    """Sum moments over batches, about the mean of the first batch to avoid cancellation."""

    def __init__(self, *, refit_bias: bool = True) -> None:
        self._refit_bias = refit_bias
        self._samples = 0
        self._origin: Vector | None = None
        self._target_origin: Vector | None = None

    def add(self, inputs: npt.NDArray[Any], targets: npt.NDArray[Any] | None = None) -> None:
        """Add a batch.

        Args:
            inputs: [..., cols].
            targets: wanted outputs [..., rows]; given for all batches or for none.

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
        """Return the moments of all batches.

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
    """Return the Gram matrix of batches [..., cols]; see `GramAccumulator`."""
    accumulator = GramAccumulator(refit_bias=refit_bias)
    for batch in batches:
        accumulator.add(batch)
    return accumulator.finish()


def few_vectors(*parts: npt.NDArray[Any]) -> list[npt.NDArray[Any]]:
    """Return few vectors with the means and second moments of many.

    Args:
        parts: [n, columns] each, of the same n samples.

    Returns:
        The same for each part, with one sample more than there are columns in all; or the parts
        themselves where these are no more samples.

    Example:
        >>> (few,) = few_vectors(np.arange(10.0)[:, None])
        >>> len(few), few.mean().round(6), np.square(few).mean().round(6)
        (2, np.float64(4.5), np.float64(28.5))
    """
    joined = np.hstack(parts).astype(np.float64)
    mean, (count, columns) = joined.mean(axis=0), joined.shape
    if count <= columns + 1:
        return list(parts)
    joined -= mean
    values, vectors = linalg.eigh(joined.T @ joined / count)
    root = np.sqrt(np.maximum(values, 0))[:, None] * vectors.T
    # Rows of the Helmert matrix are orthonormal and of mean 0.
    few = math.sqrt(columns + 1) * (linalg.helmert(columns + 1).T @ root) + mean
    ends = np.cumsum([part.shape[1] for part in parts])[:-1]
    return [
        one.astype(part.dtype) for one, part in zip(np.split(few, ends, axis=1), parts, strict=True)
    ]


def identity(cols: int) -> Gram:
    """Return the Gram matrix of independent inputs of variance 1 and mean 0, used without data."""
    return Gram(np.eye(cols), np.zeros(cols))


def windows(
    images: npt.NDArray[Any],
    kernel: tuple[int, int],
    *,
    strides: tuple[int, int] = (1, 1),
    same: bool = False,
) -> npt.NDArray[Any]:
    """Return the parts of images that a convolution multiplies by its kernel, as a view.

    Args:
        images: [batch, height, width, channels].
        kernel: height and width.
        strides: down and right.
        same: SAME padding, else VALID.

    Returns:
        [batch, out_height, out_width, kernel_height, kernel_width, channels], read-only.
    """
    if same:
        sizes = zip(images.shape[1:3], kernel, strides, strict=True)
        pads = [same_padding(*axis) for axis in sizes]
        images = np.pad(images, ((0, 0), *pads, (0, 0)))
    found = np.lib.stride_tricks.sliding_window_view(images, kernel, axis=(1, 2))
    return found[:, :: strides[0], :: strides[1]].transpose(0, 1, 2, 4, 5, 3)


def patches(
    images: npt.NDArray[Any],
    kernel: tuple[int, int],
    *,
    strides: tuple[int, int] = (1, 1),
    same: bool = False,
) -> npt.NDArray[Any]:
    """Return `windows` with the last three axes as one.

    They are in the order of a kernel [outputs, kernel_height, kernel_width, channels].
    """
    found = windows(images, kernel, strides=strides, same=same)
    return found.reshape(*found.shape[:3], -1)


def choose_damping(
    weights: Matrix,
    seen: Gram,
    held_out: Gram,
    compress: Callable[[Gram], Matrix],
    dampings: Iterable[float] = DAMPINGS,
) -> float:
    """Return the damping with which `compress` does best on held-out samples.

    Args:
        weights: float64[rows, cols].
        seen: moments of most of the samples.
        held_out: moments of the others.
        compress: damped Gram matrix -> compressed weights [rows, cols].
        dampings: to try.

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
    """Return the zeros before and after one axis, as TensorFlow pads."""
    total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2
