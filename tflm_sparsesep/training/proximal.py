"""Proximal steps for sparse training: pure functions of tensors, no state.

Symbols: w weights after the optimizer's full step, eta learning rate, D the diagonal by which the
optimizer divides its step (`preconditioner`). A proximal step solves, element by element,

    argmin_u  D * (u - w)^2 / (2 * eta) + strength * |u|^p,    |u|^0 = [u != 0]

so that the penalty is weighed in the same metric as the step before it (ProxGen: Yun, Lozano and
Yang, NeurIPS 2021). D = 1 gives the uniform form of Lee and Lee (Applied Sciences 2019,
arXiv:1905.07931). The solution is 0 where |w| * D^(1/(2-p)), the *score*, is at most

    level = (2-p) / (2 * (1-p)) * (2 * (1-p) * eta * strength)^(1/(2-p)),    p = 1: eta * strength

and has a closed form elsewhere, for p = 0 (hard threshold), 1/2 (Xu et al., IEEE TNNLS 2012),
2/3 (Cao et al., J. Vis. Commun. Image R. 2013) and 1 (soft threshold). The level does not depend on
the weight. Weights can therefore be ranked by score, and the level, and with it the strength,
follows from a number of zeros (`level_for_zeros`).

Groups: w_g are the `area` weights of a block (`patterns.Blocks`), n_g = sqrt(sum w^2 / area) their
root mean square. The penalty strength * area * n_g^p (for p = 1 that is the group lasso
strength * sqrt(area) * ||w_g||) turns the step into the one above with n_g in place of |w|:
w_g <- w_g * (solution for n_g) / n_g. D is then the block's mean, except for p = 0, whose step has
a closed form for individual D, too: its score is sqrt(sum D * w^2 / area).

The functions use `keras.ops`: they take NumPy arrays and TensorFlow tensors, also under
`tf.function` and XLA. Zeros are always +0.0, because -0.0 is another bit pattern.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from keras import ops

from tflm_sparsesep.training.patterns import Blocks

Tensor = Any

PENALTIES = {"l0": 0.0, "l1/2": 0.5, "l2/3": 2 / 3, "l1": 1.0}
"""p of each penalty strength * |u|^p."""

# Halvings of the search interval in `level_for_zeros`: the level is found to 2^-24 of the largest
# score, the resolution of float32.
_HALVINGS = 24

# Keeps powers of eta * strength / D within float32.
_TINY = 1e-20


def zeroing_level(penalty: str, scaled_strength: Tensor) -> Tensor:
    """Return the largest score that a step zeroes at `scaled_strength` = eta * strength >= 0."""
    p = PENALTIES[penalty]
    if p == 1:
        return scaled_strength
    return (2 - p) / (2 * (1 - p)) * ops.power(2 * (1 - p) * scaled_strength, 1 / (2 - p))


def strength_at(penalty: str, level: Tensor) -> Tensor:
    """Return eta * strength of the step that zeroes scores up to `level`."""
    p = PENALTIES[penalty]
    if p == 1:
        return level
    return ops.power(level * (2 * (1 - p) / (2 - p)), 2 - p) / (2 * (1 - p))


def score(
    weights: Tensor, preconditioner: Tensor = 1.0, *, penalty: str, blocks: Blocks | None = None
) -> Tensor:
    """Return the rank of weights under the penalty: |w| * D^(1/(2-p)), in their shape.

    Blocks of more than one weight have n_g * mean(D)^(1/(2-p)), or sqrt(sum D * w^2 / area) for
    "l0", in the shape of `blocks.grid`.

    Args:
        weights: w, in the kernel's shape.
        preconditioner: D, in the kernel's shape, or 1.
        penalty: a name of `PENALTIES`.
        blocks: the groups; None for single weights.
    """
    if penalty == "l0":
        if blocks is None or blocks.area == 1:
            return ops.abs(weights) * ops.sqrt(preconditioner)
        return ops.sqrt(blocks.sum(preconditioner * ops.square(weights)) / blocks.area)
    diagonal = _mean(preconditioner, blocks)
    if penalty != "l1":  # its power is 1: save the time
        diagonal = ops.power(diagonal, 1 / (2 - PENALTIES[penalty]))
    return _norm(weights, blocks) * diagonal


def proximal_step(
    weights: Tensor,
    scores: Tensor,
    level: Tensor,
    preconditioner: Tensor = 1.0,
    *,
    penalty: str,
    blocks: Blocks | None = None,
) -> Tensor:
    """Return the weights after the proximal step that zeroes scores up to `level`.

    Args:
        weights: w, in the kernel's shape.
        scores: the result of `score` with the same arguments.
        level: scalar >= 0, of `zeroing_level` for a strength, or of `level_for_zeros` for a goal.
        preconditioner: D, in the kernel's shape, or 1.
        penalty: a name of `PENALTIES`.
        blocks: the groups; None for single weights.

    Returns:
        The new weights, in the kernel's shape. NaN stays NaN: diverged training is not sparse.

    Example:
        >>> import numpy as np
        >>> w = np.float32([-0.3, 0.1, 0.5])
        >>> np.array(proximal_step(w, score(w, penalty="l1"), 0.25, penalty="l1")).round(6)
        array([-0.05,  0.  ,  0.25], dtype=float32)
    """
    nothing = ops.zeros_like(weights)
    pruned = scores <= level
    if penalty == "l0":
        return ops.where(_spread(pruned, blocks, weights), nothing, weights)
    norm = _norm(weights, blocks)
    kappa = strength_at(penalty, level) / _mean(preconditioner, blocks)
    shrunk = _SHRINKS[penalty](norm, kappa)
    # Just above the level, rounding may leave 0 or less.
    pruned = ops.logical_or(pruned, shrunk <= 0)
    if _are_single(blocks):
        value = ops.sign(weights) * shrunk
    else:
        value = weights * _spread(shrunk / norm, blocks, weights)
    return ops.where(_spread(pruned, blocks, weights), nothing, value)


def _shrink_l1(norm: Tensor, kappa: Tensor) -> Tensor:
    return norm - kappa


def _shrink_half(norm: Tensor, kappa: Tensor) -> Tensor:
    """Return the largest root of u - n + kappa / (2 sqrt(u)) = 0, a cubic in sqrt(u)."""
    cosine = kappa / 4 * ops.power(norm / 3, -1.5)
    # Above the level the cosine is at most sqrt(1/2); below it the result is not used.
    angle = ops.arccos(-ops.minimum(cosine, 1.0)) / 3
    return 4 / 3 * norm * ops.square(ops.cos(angle))


def _shrink_two_thirds(norm: Tensor, kappa: Tensor) -> Tensor:
    """Return the largest root of u - n + 2/3 kappa / cbrt(u) = 0, a quartic in cbrt(u)."""
    strength = 2 * ops.maximum(kappa, _TINY)
    # Above the level the argument is at least sqrt(27) / 2; below it the result is not used.
    argument = 27 / 16 * ops.square(norm) * ops.power(strength, -1.5)
    third = ops.arccosh(ops.maximum(argument, 1.0)) / 3
    a = 2 / math.sqrt(3) * ops.power(strength, 0.25) * ops.sqrt(ops.cosh(third))
    root = (a + ops.sqrt(ops.maximum(2 * norm / a - ops.square(a), 0.0))) / 2
    return ops.power(root, 3.0)


_SHRINKS = {"l1": _shrink_l1, "l1/2": _shrink_half, "l2/3": _shrink_two_thirds}


def _are_single(blocks: Blocks | None) -> bool:
    return blocks is None or blocks.area == 1


def _norm(weights: Tensor, blocks: Blocks | None) -> Tensor:
    """Return |w|, or the root mean square of each block."""
    if blocks is None or blocks.area == 1:
        return ops.abs(weights)
    return ops.sqrt(blocks.sum(ops.square(weights)) / blocks.area)


def _mean(preconditioner: Tensor, blocks: Blocks | None) -> Tensor:
    """Return D, or its mean over the weights of each block."""
    if blocks is None or blocks.area == 1 or isinstance(preconditioner, float):
        return preconditioner
    return blocks.sum(preconditioner) / blocks.sizes


def _spread(values: Tensor, blocks: Blocks | None, weights: Tensor) -> Tensor:
    if blocks is None or blocks.area == 1:
        return values
    return blocks.spread(values, weights.shape)


def level_for_zeros(
    scores: Sequence[Tensor], zeros: Tensor, blocks: Sequence[Blocks] | None = None
) -> Tensor:
    """Return the level at which `proximal_step` leaves at least `zeros` zeros over all tensors.

    Args:
        scores: tensors of scores >= 0, of any shapes, ranked together.
        zeros: int32 scalar, at most the number of weights.
        blocks: the blocks of each tensor; None for single weights.

    Returns:
        A scalar. It is 0, which changes nothing, if that many weights score 0 already. Otherwise
        it is the smallest sufficient level to 2^-24 of the largest score: more than `zeros` weights
        become 0 only by ties, by scores that are closer together, and by the size of a block.

    Example:
        >>> import numpy as np
        >>> round(float(level_for_zeros([np.float32([0.0, 0.5, 2.0])], 2)), 6)
        0.5
    """
    flat = ops.concatenate([ops.reshape(score, (-1,)) for score in scores])
    sizes: Any = 1
    if blocks is not None and any(b.area > 1 for b in blocks):
        sizes = ops.concatenate(
            [ops.reshape(ops.convert_to_tensor(b.sizes), (-1,)) for b in blocks]
        )

    def reaches(level: Tensor) -> Tensor:
        return ops.sum(ops.cast(flat <= level, "int32") * sizes) >= zeros

    def halve(_: Tensor, interval: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        low, high = interval
        middle = (low + high) / 2
        enough = reaches(middle)
        return ops.where(enough, low, middle), ops.where(enough, middle, high)

    nothing = ops.zeros_like(flat[0])
    _, level = ops.fori_loop(0, _HALVINGS, halve, (nothing, ops.max(flat)))
    return ops.where(reaches(nothing), nothing, level)


def ramp(progress: float) -> float:
    """Return 1 - (1 - progress)^3: the share of the goal that is due at `progress` in 0..1.

    It is steep at first, while many weights are redundant, and flat at the end (Zhu and Gupta,
    2017).
    """
    return 1.0 - (1.0 - min(max(progress, 0.0), 1.0)) ** 3
