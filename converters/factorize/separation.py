"""A convolution as two or three smaller ones. Kernels are [outputs N, height h, width w, inputs C].

Separated (SparseSep, SenSys 2016, section on convolution separation; E. Denton et al., NIPS 2014):

    W[n, i, j, c] ~ sum_k H[n, j, k] V[k, i, c]

a vertical h x 1 convolution C -> K, then a horizontal 1 x w convolution K -> N. Rearranged to
[(i, c), (j, n)] this is a matrix of rank K: singular values give the best factors in closed form.
Tucker-2 (Y.-D. Kim et al., ICLR 2016): 1x1 C -> P, h x w P -> Q, 1x1 Q -> N, by singular vectors of
the kernel unfolded by its channels and by its outputs.

With data: G is the Gram matrix of image patches (`gram.patches`), and the outputs' squared error is
tr((W - W') G (W - W')^T) with W unfolded to [N, h w C]. It is quadratic in each factor. Starting
from the closed form, conjugate gradients solve for each factor in turn (alternating least squares);
the error never grows. The normal equations of a factor need inner products of the other factors
only: no step multiplies whole kernels.

MACs per output pixel: dense N h w C; separated K (h C + w N), which pays for K < N h w C / (h C +
w N); Tucker P C + h w P Q + Q N; depthwise h w C -> (h + w) C. Bytes in int8: the same numbers.
With strides, the vertical convolution takes the vertical one and the horizontal the other; SAME
padding splits alike. Bias and activation belong to the last convolution.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import linalg

from tflm_sparsesep.converters.errors import ConfigError
from tflm_sparsesep.converters.factorize.gram import Gram, Matrix

Array = npt.NDArray[np.float64]

_ITERATIONS = 60
_TOLERANCE = 1e-6
_ROUNDING = 1e-12
# Applications of normal equations that computing their matrix is worth.
_EXPLICIT = 8


@dataclass(frozen=True)
class Separated:
    """vertical: float64[K, h, 1, C]; horizontal: float64[N, 1, w, K]."""

    vertical: Array
    horizontal: Array

    @property
    def kernel(self) -> Array:
        """Return the product of both, [N, h, w, C]."""
        return _separated(self.horizontal[:, 0], self.vertical[:, :, 0])

    @property
    def macs(self) -> int:
        """Return the multiply-adds per output pixel at stride 1, equal to the weights stored."""
        return self.vertical.size + self.horizontal.size


@dataclass(frozen=True)
class Tucker:
    """reduce: float64[P, 1, 1, C]; core: float64[Q, h, w, P]; expand: float64[N, 1, 1, Q]."""

    reduce: Array
    core: Array
    expand: Array

    @property
    def matrices(self) -> tuple[Array, Array, Array]:
        """Return the three kernels in the order in which they are applied."""
        return self.reduce, self.core, self.expand

    @property
    def kernel(self) -> Array:
        """Return the product of all three, [N, h, w, C]."""
        return _tucker(self.expand[:, 0, 0], self.core, self.reduce[:, 0, 0])

    @property
    def macs(self) -> int:
        """Return the multiply-adds per output pixel at stride 1, equal to the weights stored."""
        return self.reduce.size + self.core.size + self.expand.size


@dataclass(frozen=True)
class SeparatedDepthwise:
    """vertical: float64[h, 1, C]; horizontal: float64[1, w, C]."""

    vertical: Array
    horizontal: Array

    @property
    def kernel(self) -> Array:
        """Return the product of both, [h, w, C]."""
        return self.vertical * self.horizontal


def separate(
    kernel: Array,
    rank: int,
    gram: Gram | None = None,
    *,
    turns: int = 10,
    iterations: int = _ITERATIONS,
) -> Separated:
    """Approximate a convolution by a vertical and a horizontal one.

    Args:
        kernel: float64[N, h, w, C].
        rank: K, the channels between the two.
        gram: of patches, damped; None for the closed form without data.
        turns: of alternating least squares, with data.
        iterations: most of conjugate gradients for a factor in a turn.

    Raises:
        ConfigError: the rank is out of range or the Gram matrix is of other patches.

    Example:
        >>> edge = np.outer([1.0, 2.0, 1.0], [1.0, 0.0, -1.0]).reshape(1, 3, 3, 1)
        >>> found = separate(edge, 1)
        >>> bool(np.allclose(found.kernel, edge)), found.macs
        (True, 6)
    """
    outputs, height, width, channels = kernel.shape
    most = min(height * channels, width * outputs)
    _check_rank("rank", rank, most)
    unfolded = kernel.transpose(1, 3, 2, 0).reshape(height * channels, width * outputs)
    u, s, v = linalg.svd(unfolded, full_matrices=False)
    # The root of each singular value on either side, so that both kernels quantize alike.
    root = np.sqrt(s[:rank])
    vertical = (u[:, :rank] * root).T.reshape(rank, height, channels)
    horizontal = (root[:, None] * v[:rank]).reshape(rank, width, outputs).transpose(2, 1, 0)
    if gram is not None:
        factors = np.ascontiguousarray(horizontal), vertical
        horizontal, vertical = _fit_separated(kernel, gram, factors, turns, iterations)
    return Separated(vertical[:, :, None], horizontal[:, None])


def tucker(
    kernel: Array,
    ranks: tuple[int, int],
    gram: Gram | None = None,
    *,
    turns: int = 10,
    iterations: int = _ITERATIONS,
) -> Tucker:
    """Approximate a convolution by 1x1 to P channels, h x w to Q, and 1x1 to all outputs.

    Args:
        kernel: float64[N, h, w, C].
        ranks: P up to C and Q up to N.
        gram: of patches, damped; None for the higher-order SVD without data.
        turns: of alternating least squares, with data.
        iterations: most of conjugate gradients for a factor in a turn.

    Raises:
        ConfigError: a rank is out of range or the Gram matrix is of other patches.

    Example:
        >>> kernel = np.ones((4, 3, 3, 2))
        >>> found = tucker(kernel, (1, 1))
        >>> bool(np.allclose(found.kernel, kernel)), found.macs
        (True, 15)
    """
    outputs, _, _, channels = kernel.shape
    _check_rank("input rank", ranks[0], channels)
    _check_rank("output rank", ranks[1], outputs)
    reduce = linalg.svd(kernel.reshape(-1, channels), full_matrices=False)[2][: ranks[0]]
    expand = linalg.svd(kernel.reshape(outputs, -1), full_matrices=False)[0][:, : ranks[1]]
    core = np.einsum("nijc,nq,pc->qijp", kernel, expand, reduce)
    if gram is not None:
        factors = expand, core, reduce
        expand, core, reduce = _fit_tucker(kernel, gram, factors, turns, iterations)
    return Tucker(reduce[:, None, None], core, expand[:, None, None])


def separate_depthwise(kernel: Array) -> SeparatedDepthwise:
    """Return the best d x 1 and 1 x d kernels of each channel (rank 1, singular values).

    Args:
        kernel: float64[h, w, C].

    Example:
        >>> found = separate_depthwise(np.ones((3, 3, 2)))
        >>> bool(np.allclose(found.kernel, 1.0))
        True
    """
    u, s, v = np.linalg.svd(kernel.transpose(2, 0, 1), full_matrices=False)
    root = np.sqrt(s[:, :1])
    vertical, horizontal = (u[:, :, 0] * root).T, (v[:, 0] * root).T
    return SeparatedDepthwise(vertical[:, None], horizontal[None])


def _separated(horizontal: Array, vertical: Array) -> Array:
    kernel: Array = np.einsum("njk,kic->nijc", horizontal, vertical, optimize=True)
    return kernel


def _tucker(expand: Array, core: Array, reduce: Array) -> Array:
    kernel: Array = np.einsum("nq,qijp,pc->nijc", expand, core, reduce, optimize=True)
    return kernel


def _fit_separated(
    kernel: Array, gram: Gram, factors: tuple[Array, Array], turns: int, iterations: int
) -> tuple[Array, Array]:
    """Return (horizontal [N, w, K], vertical [K, h, C]) after `turns` of least squares in each."""
    _check_gram(kernel, gram)
    horizontal, vertical = factors
    outputs, height, width, channels = kernel.shape
    rank = len(vertical)
    wanted = (kernel.reshape(outputs, -1) @ gram.matrix).reshape(kernel.shape)
    moments = gram.matrix.reshape(height, width, channels, height, width, channels)
    taps = moments.transpose(4, 0, 2, 1, 3, 5).reshape(width, height * channels, width, -1)
    for _ in range(turns):
        rows = vertical.reshape(rank, -1)
        half = (rows @ taps.reshape(width, rows.shape[1], -1)).reshape(width, rank, width, -1)
        metric = (half @ rows.T).transpose(2, 1, 0, 3).reshape(width * rank, -1)
        found = _conjugate_gradients(
            horizontal.reshape(outputs, -1),
            np.einsum("nijc,kic->njk", wanted, vertical, optimize=True).reshape(outputs, -1),
            _times(metric),
            iterations,
        )
        horizontal = found.reshape(horizontal.shape)
        target = np.einsum("njk,nijc->kic", horizontal, wanted, optimize=True)
        by_taps = _by_taps(horizontal, taps)
        found = _conjugate_gradients(rows, target.reshape(rank, -1), by_taps, iterations)
        vertical = found.reshape(vertical.shape)
    return horizontal, vertical


def _fit_tucker(
    kernel: Array, gram: Gram, factors: tuple[Array, Array, Array], turns: int, iterations: int
) -> tuple[Array, Array, Array]:
    """Return (expand [N, Q], core [Q, h, w, P], reduce [P, C]) after `turns` of least squares."""
    _check_gram(kernel, gram)
    expand, core, reduce = factors
    outputs, height, width, channels = kernel.shape
    inner = len(reduce)
    wanted = (kernel.reshape(outputs, -1) @ gram.matrix).reshape(outputs, -1, channels)
    moments = gram.matrix.reshape(height * width, channels, height * width, channels)
    taps = np.ascontiguousarray(moments.transpose(2, 1, 0, 3))
    for _ in range(turns):
        reduced = (moments @ reduce.T).transpose(0, 2, 3, 1) @ reduce.T  # [t, t', p', p]
        reduced = reduced.transpose(0, 3, 1, 2).reshape(height * width * inner, -1)
        target = (wanted @ reduce.T).reshape(outputs, -1)
        flat = core.reshape(len(core), -1)
        metric = _times(flat @ reduced @ flat.T)
        expand = _conjugate_gradients(expand, target @ flat.T, metric, iterations)
        metric = _times(reduced, before=expand.T @ expand)
        found = _conjugate_gradients(flat, expand.T @ target, metric, iterations)
        core = found.reshape(core.shape)
        expanded = (expand @ found).reshape(outputs, -1, inner)
        target = np.einsum("ntp,ntc->pc", expanded, wanted, optimize=True)
        reduce = _conjugate_gradients(reduce, target, _by_taps(expanded, taps), iterations)
    return expand, core, reduce


def _times(after: Matrix, before: Matrix | None = None) -> Callable[[Matrix], Matrix]:
    """Return x -> before x after."""
    return lambda x: x @ after if before is None else before @ x @ after


def _by_taps(others: Array, taps: Array) -> Callable[[Matrix], Matrix]:
    """Return the normal equations of a factor x [k, e] that each tap t of a kernel repeats.

    Args:
        others: [n, t, k], what multiplies the factor at each tap.
        taps: moments [t, e', t', e] of the inputs.
    """
    outputs, width, rank = others.shape
    count = taps.shape[1]
    flat = others.reshape(outputs, -1)
    by_kernels, by_factors = outputs * count, rank * (count + rank)  # products of one application
    if rank * rank * count < _EXPLICIT * min(by_kernels, by_factors):
        products = (flat.T @ flat).reshape(width, rank, width, rank)
        whole = np.tensordot(products, taps, ((0, 2), (0, 2)))  # [k, k', e', e]
        matrix = whole.transpose(0, 3, 1, 2).reshape(rank * count, -1)
        return lambda x: (matrix @ x.reshape(-1)).reshape(rank, count)
    if by_kernels < by_factors:
        by_output = others.reshape(-1, rank)
        gram = taps.transpose(2, 1, 0, 3).reshape(width * count, -1)

        def through_kernels(x: Matrix) -> Matrix:
            slopes = (by_output @ x).reshape(outputs, -1) @ gram
            found: Matrix = by_output.T @ slopes.reshape(-1, count)
            return found

        return through_kernels
    products = (flat.T @ flat).reshape(width, rank, width, rank)
    wide = products.transpose(1, 0, 3, 2).reshape(rank, -1)  # [k, (t, k', t')]
    matrices = taps.reshape(width, count, -1)
    # [(t, k', t'), e] without a copy: batched products are laid out like that.
    return lambda x: wide @ (x @ matrices).reshape(-1, count)


def _conjugate_gradients(
    start: Matrix, wanted: Matrix, apply: Callable[[Matrix], Matrix], iterations: int
) -> Matrix:
    """Return x with apply(x) = wanted, from `start` on; `apply` is positive semidefinite."""
    found = start
    left = wanted - apply(found)
    search, strength = left, float(np.vdot(left, left))
    # A residual of rounding errors only may lie where `apply` is 0.
    enough = max(_TOLERANCE**2 * strength, _ROUNDING**2 * float(np.vdot(wanted, wanted)))
    for _ in range(iterations):
        if strength <= enough:
            break
        bent = apply(search)
        alpha = strength / float(np.vdot(search, bent))
        found = found + alpha * search
        left = left - alpha * bent
        before, strength = strength, float(np.vdot(left, left))
        search = left + strength / before * search
    return found


def _check_gram(kernel: Array, gram: Gram) -> None:
    cols = math.prod(kernel.shape[1:])
    if gram.cols != cols:
        raise ConfigError(
            f"the Gram matrix is of {gram.cols} inputs; accepted: {cols}, the patches of a kernel "
            f"{kernel.shape}"
        )


def _check_rank(name: str, rank: int, most: int) -> None:
    if not 1 <= rank <= most:
        raise ConfigError(f"{name} is {rank}; accepted: 1 to {most}")
