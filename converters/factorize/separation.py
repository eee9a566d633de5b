"""A convolution as two or three smaller ones. Kernels are [outputs N, height h, width w, inputs C].

Separated (SparseSep, SenSys 2016, section on convolution separation; E. Denton et al., NIPS 2014):

    W[n, i, j, c] ~ sum_k H[n, j, k] V[k, i, c]

a vertical h x 1 convolution C -> K, then a horizontal 1 x w convolution K -> N. Rearranged to
[(i, c), (j, n)] this is a matrix of rank K: singular values give the best factors in closed form.
Tucker-2 (Y.-D. Kim et al., ICLR 2016): 1x1 C -> P, h x w P -> Q, 1x1 Q -> N, by singular vectors of
the kernel unfolded by its channels and by its outputs.

With data: G is the Gram matrix of image patches (`gram.patches`), and the outputs' squared error is
tr((W - W') G (W - W')^T) with W unfolded to [N, h w C]. It is quadratic in each factor. From the
closed form above on, each factor in turn is solved for by conjugate gradients (alternating least
squares), which never makes the error larger.

MACs per output pixel: dense N h w C; separated K (h C + w N), which pays for K < N h w C / (h C +
w N); Tucker P C + h w P Q + Q N; depthwise h w C -> (h + w) C. Bytes in int8: the same numbers.
With strides, the vertical convolution takes the vertical one and the horizontal the other; SAME
padding splits alike. Bias and activation belong to the last convolution.
"""

from __future__ import annotations

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


@dataclass(frozen=True)
class Separated:
    """vertical: float64[K, h, 1, C]; horizontal: float64[N, 1, w, K]."""

    vertical: Array
    horizontal: Array

    @property
    def kernel(self) -> Array:
        """The kernel that both stand for, [N, h, w, C]."""
        return _separated(self.horizontal[:, 0], self.vertical[:, :, 0])

    @property
    def macs(self) -> int:
        """Multiply-adds per output pixel (stride 1); also the weights to store."""
        return self.vertical.size + self.horizontal.size


@dataclass(frozen=True)
class Tucker:
    """reduce: float64[P, 1, 1, C]; core: float64[Q, h, w, P]; expand: float64[N, 1, 1, Q]."""

    reduce: Array
    core: Array
    expand: Array

    @property
    def matrices(self) -> tuple[Array, Array, Array]:
        """In the order in which they are applied."""
        return self.reduce, self.core, self.expand

    @property
    def kernel(self) -> Array:
        """The kernel that all three stand for, [N, h, w, C]."""
        return _tucker(self.expand[:, 0, 0], self.core, self.reduce[:, 0, 0])

    @property
    def macs(self) -> int:
        """Multiply-adds per output pixel (stride 1); also the weights to store."""
        return self.reduce.size + self.core.size + self.expand.size


@dataclass(frozen=True)
class SeparatedDepthwise:
    """vertical: float64[h, 1, C]; horizontal: float64[1, w, C]."""

    vertical: Array
    horizontal: Array

    @property
    def kernel(self) -> Array:
        """The kernel that both stand for, [h, w, C]."""
        return self.vertical * self.horizontal


def separate(kernel: Array, rank: int, gram: Gram | None = None, *, turns: int = 10) -> Separated:
    """A vertical and a horizontal convolution for a square one.

    Args:
        kernel: float64[N, h, w, C].
        rank: K, channels between both.
        gram: of patches, damped; None for the closed form without data.
        turns: of alternating least squares, with data.

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
    # The root of each singular value on either side, so that both kernels quantise alike.
    root = np.sqrt(s[:rank])
    vertical = (u[:, :rank] * root).T.reshape(rank, height, channels)
    horizontal = (root[:, None] * v[:rank]).reshape(rank, width, outputs).transpose(2, 1, 0)
    if gram is not None:
        factors = [np.ascontiguousarray(horizontal), vertical]
        horizontal, vertical = _alternate(kernel, gram, factors, _separated, _SEPARATED, turns)
    return Separated(vertical[:, :, None], horizontal[:, None])


def tucker(
    kernel: Array, ranks: tuple[int, int], gram: Gram | None = None, *, turns: int = 10
) -> Tucker:
    """A 1x1 convolution to P channels, a small h x w one to Q, and a 1x1 one back.

    Args:
        kernel: float64[N, h, w, C].
        ranks: P up to C and Q up to N.
        gram: of patches, damped; None for the higher-order SVD without data.
        turns: of alternating least squares, with data.

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
        factors = [expand, core, reduce]
        expand, core, reduce = _alternate(kernel, gram, factors, _tucker, _TUCKER, turns)
    return Tucker(reduce[:, None, None], core, expand[:, None, None])


def separate_depthwise(kernel: Array) -> SeparatedDepthwise:
    """The best d x 1 and 1 x d kernels of each channel (rank 1, singular values).

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


# For each factor the product that takes a kernel-shaped gradient to it, given the others in order.
_SEPARATED = ("nijc,kic->njk", "nijc,njk->kic")
_TUCKER = ("nijc,qijp,pc->nq", "nijc,nq,pc->qijp", "nijc,nq,qijp->pc")


def _alternate(
    kernel: Array,
    gram: Gram,
    factors: list[Array],
    product: Callable[..., Array],
    adjoints: tuple[str, ...],
    turns: int,
) -> list[Array]:
    """Least squares in one factor after the other."""
    wanted = kernel.reshape(len(kernel), -1)
    if gram.cols != wanted.shape[1]:
        raise ConfigError(
            f"the Gram matrix is of {gram.cols} inputs; accepted: {wanted.shape[1]}, the patches "
            f"of a kernel {kernel.shape}"
        )
    for turn in range(turns * len(factors)):
        at = turn % len(factors)
        others = factors[:at] + factors[at + 1 :]
        adjoint = adjoints[at]

        def to_kernel(x: Array, at: int = at, others: list[Array] = others) -> Array:
            return product(*others[:at], x, *others[at:])

        def to_factor(d: Matrix, adjoint: str = adjoint, others: list[Array] = others) -> Array:
            slope = (d @ gram.matrix).reshape(kernel.shape)
            found: Array = np.einsum(adjoint, slope, *others, optimize=True)
            return found

        factors[at] = _conjugate_gradients(factors[at], wanted, to_kernel, to_factor)
    return factors


def _conjugate_gradients(
    start: Array,
    wanted: Matrix,
    to_kernel: Callable[[Array], Array],
    to_factor: Callable[[Matrix], Array],
) -> Array:
    """The factor x that brings to_kernel(x) closest to `wanted` in the Gram metric."""
    flat = (len(wanted), -1)
    found = start
    left = to_factor(wanted - to_kernel(found).reshape(flat))
    search, strength = left, float(np.vdot(left, left))
    enough = _TOLERANCE**2 * strength
    for _ in range(_ITERATIONS):
        if strength <= enough:
            break
        bent = to_factor(to_kernel(search).reshape(flat))
        alpha = strength / float(np.vdot(search, bent))
        found = found + alpha * search
        left = left - alpha * bent
        before, strength = strength, float(np.vdot(left, left))
        search = left + strength / before * search
    return found


def _check_rank(name: str, rank: int, most: int) -> None:
    if not 1 <= rank <= most:
        raise ConfigError(f"{name} is {rank}; accepted: 1 to {most}")
