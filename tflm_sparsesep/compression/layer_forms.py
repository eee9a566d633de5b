"""The forms that a layer can be compressed to, and what its weights become in each.

| kind | matrices |
|---|---|
| `sparse` | one, `size` weights of it in blocks |
| `low_rank` | first [rank, cols], second [rows, rank] |
| `dictionary` | first [rank, cols] with `size` weights, second [rows, rank] |
| `separated` | first [rank, height * channels], second [units, width * rank] |
| `depthwise_separated` | [channels, height], [channels, width] (`depthwise_form`) |
| `tucker` | [rank, channels], core [outer, height * width * rank], [units, outer] |

For convolutions weights are flat, [units, height * width * channels]; which layers the matrices
are is in `conv_stages`. Errors are those of `factorize`: tr(S (W - W') G (W - W')^T) with the rows'
importance S.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from scipy import linalg

from tflm_sparsesep.converters.factorize import dictionary, low_rank, separation, sparse_refit
from tflm_sparsesep.converters.factorize.gram import Gram, Matrix, Vector
from tflm_sparsesep.converters.layers.stages import KernelShape, stages_of, whole_matrix

Kind = Literal[
    "dense", "sparse", "low_rank", "dictionary", "separated", "tucker", "depthwise_separated"
]


@dataclass(frozen=True)
class Form:
    """How a layer is stored.

    block: rows and columns that a sparse matrix keeps or drops together. size: weights kept of
    it. rank: of what is between two matrices; of `tucker` before the core. outer: behind the core.
    palette: the weights kept take 16 values.
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


DENSE = Form("dense")


@dataclass(frozen=True)
class Layer:
    """What a form is fitted to.

    weights: float64[rows, cols]. gram: of the inputs, damped. importance: float64[rows], positive.
    kernel: height, width, channels; 1 x 1 for fully-connected layers.
    """

    weights: Matrix
    gram: Gram
    importance: Vector
    kernel: KernelShape

    def error(self, fitted: Fitted) -> float:
        """What is left, as a share of the power of the outputs about their mean."""
        scale = np.sqrt(self.importance)[:, None]
        power = self.gram.error(self.weights * scale)
        return self.gram.error((self.weights - fitted.weights(self.kernel)) * scale) / power

    def fit(self, form: Form, *, effort: int) -> Fitted:
        """The best matrices of a form.

        Args:
            effort: 1 while forms are compared, 2 for those that are chosen: more iterations.
        """
        scale = np.sqrt(self.importance)[:, None]
        if form.kind == "sparse":
            weights = sparse_refit.admm(
                self.weights,
                self.gram,
                form.size,
                block=form.block,
                importance=self.importance,
                iterations=15 if effort == 1 else 60,
            )
            return Fitted(form, (weights,))
        scaled = self.weights * scale
        if form.kind == "low_rank":
            factors = low_rank.svd(scaled, form.rank, self.gram)
            return Fitted(form, (factors.right, factors.left / scale))
        if form.kind == "dictionary":
            found = dictionary.learn(scaled, self.gram, form.rank, form.size, turns=effort)
            return Fitted(form, (found.code, found.basis / scale))
        kernel = scaled.reshape(len(scaled), *self.kernel)
        if form.kind == "tucker":
            parts = separation.tucker(kernel, (form.rank, form.outer), self.gram, turns=4 * effort)
            reduce, core, expand = (m.reshape(len(m), -1) for m in parts.matrices)
            return Fitted(form, (reduce, core, expand / scale))
        pair = separation.separate(kernel, form.rank, self.gram, turns=4 * effort)
        first = pair.vertical.reshape(form.rank, -1)
        return Fitted(form, (first, pair.horizontal.reshape(len(scaled), -1) / scale))

    def refit(self, fitted: Fitted) -> Fitted:
        """The same form for other weights or inputs; what is sparse keeps its support."""
        if fitted.form.kind == "sparse":
            (like,) = fitted.matrices
            weights = sparse_refit.refit(self.weights, self.gram, like, block=fitted.form.block)
            return replace(fitted, matrices=(weights,))
        if fitted.form.kind == "dictionary":
            code = fitted.matrices[0]
            moments = code @ self.gram.matrix
            basis: Matrix = linalg.lstsq(moments @ code.T, moments @ self.weights.T)[0].T
            return replace(fitted, matrices=(code, basis))
        return self.fit(fitted.form, effort=1)

    def bias_shift(self, fitted: Fitted) -> Vector:
        """What to add to the bias, float64[rows], for the mean of what the form has lost."""
        return self.gram.bias_shift(self.weights, fitted.weights(self.kernel))


@dataclass(frozen=True)
class Fitted:
    """The matrices of a form, real."""

    form: Form
    matrices: tuple[Matrix, ...]

    def weights(self, kernel: KernelShape) -> Matrix:
        """The matrix [rows, cols] that they stand for."""
        if len(self.matrices) == 1:
            return self.matrices[0]
        if self.form.kind in ("low_rank", "dictionary"):
            return self.matrices[1] @ self.matrices[0]
        return whole_matrix(stages_of(self.form.kind, self.matrices, kernel), kernel)
