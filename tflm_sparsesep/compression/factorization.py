"""Factorizations that a layer can be compressed to, and their fits to a layer.

| kind | matrices |
|---|---|
| `sparse` | one, `size` weights of it in blocks |
| `low_rank` | first [rank, cols], second [rows, rank] |
| `dictionary` | first [rank, cols] with `size` weights, second [rows, rank] |
| `separated` | first [rank, height * channels], second [units, width * rank] |
| `depthwise_separated` | [channels, height], [channels, width] |
| `tucker` | [rank, channels], core [outer, height * width * rank], [units, outer] |

For convolutions weights are flat, [units, height * width * channels]; `layers.stages` turns the
matrices into layers. Errors are those of `factorize`: tr(S (W - W') G (W - W')^T) with the
importance S of the rows.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt
from scipy import linalg

from tflm_sparsesep.converters.factorize import (
    depthwise,
    dictionary,
    low_rank,
    separation,
    sparse_refit,
)
from tflm_sparsesep.converters.factorize.depthwise import ChannelMoments
from tflm_sparsesep.converters.factorize.gram import Gram, Matrix, Vector
from tflm_sparsesep.converters.factorize.low_rank import LowRank
from tflm_sparsesep.converters.layers.stages import KernelShape, stages_of, whole_matrix

Kind = Literal[
    "dense", "sparse", "low_rank", "dictionary", "separated", "tucker", "depthwise_separated"
]

# Iterations of fits that compare factorizations, whose error is up to 2% larger, and of the others.
_QUICK_ADMM, _QUICK_TURN, _CAREFUL = 15, 20, 60


@dataclass(frozen=True)
class Factorization:
    """How a layer is stored.

    Attributes:
        kind: see the module.
        block: rows and columns that a sparse matrix keeps or drops together.
        size: weights kept in the sparse matrix.
        rank: inner dimension; of `tucker` the input rank.
        outer: output rank of `tucker`.
        palette: the kept weights take 16 values.
    """

    kind: Kind
    block: tuple[int, int] = (1, 1)
    size: int = 0
    rank: int = 0
    outer: int = 0
    palette: bool = False

    def __str__(self) -> str:
        rows, cols = self.block
        values = " of 16 values" if self.palette else ""
        return {
            "dense": "dense",
            "sparse": f"sparse {rows}x{cols}, {self.size:,} weights{values}",
            "low_rank": f"low rank {self.rank}",
            "dictionary": f"{self.rank} atoms x {self.size:,} weights",
            "separated": f"separated over {self.rank} channels",
            "depthwise_separated": "separated, channel by channel",
            "tucker": f"Tucker over {self.rank} and {self.outer} channels",
        }[self.kind]


DENSE = Factorization("dense")
DEPTHWISE_SEPARATED = Factorization("depthwise_separated", rank=1)
"""The one factorization of a depthwise convolution: d x 1 and 1 x e."""


@dataclass(frozen=True)
class Fitted:
    """The matrices of a factorization, real."""

    form: Factorization
    matrices: tuple[Matrix, ...]

    def weights(self, kernel: KernelShape) -> Matrix:
        """Return the matrix [rows, cols] that they approximate a layer by."""
        if len(self.matrices) == 1:
            return self.matrices[0]
        if self.form.kind == "depthwise_separated":
            return depthwise.product(*self.matrices)
        if self.form.kind in ("low_rank", "dictionary"):
            return self.matrices[1] @ self.matrices[0]
        return whole_matrix(stages_of(self.form.kind, self.matrices, kernel), kernel)


class FitProblem(Protocol):
    """The weights and inputs that a factorization is fitted to."""

    def fit(self, form: Factorization, *, effort: int) -> Fitted:
        """Return the best matrices of a factorization.

        Args:
            form: not dense.
            effort: 1 to compare factorizations, 2 for the chosen ones: more iterations.
        """

    def refit(self, form: Factorization, first: Callable[[], Fitted]) -> Fitted:
        """Return a fit like another one of other weights or inputs.

        Args:
            form: not dense.
            first: makes the other one; called where a sparse matrix keeps its support.
        """

    def error(self, fitted: Fitted) -> float:
        """Return the remaining error relative to the variance of the outputs."""

    def bias_shift(self, fitted: Fitted) -> Vector:
        """Return the correction of the bias, float64[rows], for the mean of the error."""


@dataclass(frozen=True)
class MatrixFitProblem:
    """The fit problem of a fully-connected layer or convolution.

    Attributes:
        target: float64[rows, cols], the weights to approximate.
        gram: moments of the inputs, damped.
        importance: float64[rows], positive.
        kernel: height, width, channels; 1 x 1 for fully-connected layers.
    """

    target: Matrix
    gram: Gram
    importance: Vector
    kernel: KernelShape

    def error(self, fitted: Fitted) -> float:
        """See `FitProblem`."""
        left = (self.target - fitted.weights(self.kernel)) * self._scale
        return self.gram.error(left) / self._power

    def fit(self, form: Factorization, *, effort: int) -> Fitted:
        """See `FitProblem`."""
        if form.kind == "sparse":
            weights = sparse_refit.admm(
                self.target,
                self.gram,
                form.size,
                block=form.block,
                importance=self.importance,
                iterations=_QUICK_ADMM if effort == 1 else _CAREFUL,
            )
            return Fitted(form, (weights,))
        scaled, scale = self.target * self._scale, self._scale
        if form.kind == "low_rank":
            factors = self._low_rank
            return Fitted(form, (factors.right[: form.rank], factors.left[:, : form.rank] / scale))
        if form.kind == "dictionary":
            found = dictionary.learn(scaled, self.gram, form.rank, form.size, turns=effort)
            return Fitted(form, (found.code, found.basis / scale))
        kernel = scaled.reshape(len(scaled), *self.kernel)
        extent = {"turns": 4 * effort, "iterations": _QUICK_TURN if effort == 1 else _CAREFUL}
        if form.kind == "tucker":
            parts = separation.tucker(kernel, (form.rank, form.outer), self.gram, **extent)
            reduce, core, expand = (m.reshape(len(m), -1) for m in parts.matrices)
            return Fitted(form, (reduce, core, expand / scale))
        pair = separation.separate(kernel, form.rank, self.gram, **extent)
        first = pair.vertical.reshape(form.rank, -1)
        return Fitted(form, (first, pair.horizontal.reshape(len(scaled), -1) / scale))

    def refit(self, form: Factorization, first: Callable[[], Fitted]) -> Fitted:
        """See `FitProblem`."""
        if form.kind == "sparse":
            (like,) = first().matrices
            weights = sparse_refit.refit(self.target, self.gram, like, block=form.block)
            return Fitted(form, (weights,))
        if form.kind == "dictionary":
            code = first().matrices[0]
            moments = code @ self.gram.matrix
            basis: Matrix = linalg.lstsq(moments @ code.T, moments @ self.target.T)[0].T
            return Fitted(form, (code, basis))
        return self.fit(form, effort=1)

    def bias_shift(self, fitted: Fitted) -> Vector:
        """See `FitProblem`."""
        return self.gram.bias_shift(self.target, fitted.weights(self.kernel))

    @functools.cached_property
    def _scale(self) -> Matrix:
        """[rows, 1]."""
        return np.sqrt(self.importance)[:, None]

    @functools.cached_property
    def _power(self) -> float:
        return self.gram.error(self.target * self._scale)

    @functools.cached_property
    def _low_rank(self) -> LowRank:
        """Factors of full rank: the first ranks are the best of each rank."""
        return low_rank.svd(self.target * self._scale, min(self.target.shape), self.gram)


@dataclass(frozen=True)
class DepthwiseFitProblem:
    """The fit problem of a depthwise convolution.

    Attributes:
        target: float64[channels, taps], the weights to approximate.
        moments: of the inputs, damped.
        importance: float64[channels], positive.
        taps: height and width.
    """

    target: Matrix
    moments: ChannelMoments
    importance: Vector
    taps: tuple[int, int]

    def fit(self, form: Factorization, *, effort: int) -> Fitted:
        """See `FitProblem`; the factors are [channels, height] and [channels, width]."""
        return Fitted(form, depthwise.separate(self.target, self.taps, self.moments))

    def refit(self, form: Factorization, first: Callable[[], Fitted]) -> Fitted:
        """See `FitProblem`."""
        return self.fit(form, effort=1)

    def error(self, fitted: Fitted) -> float:
        """See `FitProblem`."""
        left = self.moments.errors(self._lost(fitted))
        return float(self.importance @ left / (self.importance @ self.moments.errors(self.target)))

    def bias_shift(self, fitted: Fitted) -> Vector:
        """See `FitProblem`."""
        shift: Vector = (self._lost(fitted) * self.moments.means).sum(axis=1)
        return shift

    def _lost(self, fitted: Fitted) -> Matrix:
        return self.target - fitted.weights((*self.taps, 1))


def depthwise_windows(inputs: npt.NDArray[Any], channels: int) -> npt.NDArray[Any]:
    """Return patches [n, taps * channels] as [n, taps, channels]."""
    return np.reshape(inputs, (len(inputs), -1, channels))
