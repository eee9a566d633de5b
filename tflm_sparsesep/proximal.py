"""Proximal steps for sparse training: pure functions of tensors, no state.

Symbols: w weights after the optimizer's full step, eta learning rate, D the diagonal by which the
optimizer divides its step (w <- w - eta * m / D), t number of steps taken (from 1). A proximal
step solves, element by element,

    argmin_u  D * (u - w)^2 / (2 * eta) + penalty(u)

so that the penalty is weighed in the same metric as the step before it (ProxGen: Yun, Lozano and
Yang, NeurIPS 2021); D = 1 gives the uniform form of Lee and Lee (Applied Sciences 2019). Written
with `keras.ops`: takes NumPy arrays and TensorFlow tensors, also under `tf.function` and XLA.
Zeros are always +0.0: -0.0 would be one more bit pattern to store and to compare.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from keras import ops

Tensor = Any

# Halvings of the search interval in `level_for_zeros`: the level is found to 2^-24 of the largest
# score, the resolution of float32.
_HALVINGS = 24


def soft_threshold(weights: Tensor, threshold: Tensor) -> Tensor:
    """Proximal step of L1: sign(w) * max(|w| - threshold, 0), with threshold >= 0.

    Shapes: `threshold` broadcasts to `weights`. See `l1_threshold` for the threshold.

    Example:
        >>> soft_threshold(np.float32([-0.3, 0.1, 0.5]), 0.25)  # [-0.05, 0.0, 0.25]
    """
    shrunk = weights - ops.sign(weights) * threshold
    # Written so that NaN stays NaN: a diverged training must not look sparse.
    return ops.where(ops.abs(weights) <= threshold, ops.zeros_like(weights), shrunk)


def l1_threshold(learning_rate: Tensor, strength: Tensor, preconditioner: Tensor = 1.0) -> Tensor:
    """eta * strength / D, the soft threshold of the penalty strength * |u|.

    `strength` has the unit of a gradient when D is the optimizer's, else that of a step / eta.
    """
    return learning_rate * strength / preconditioner


def l0_score(weights: Tensor, preconditioner: Tensor = 1.0) -> Tensor:
    """|w| * sqrt(D), by which the penalty on the number of nonzeros ranks weights.

    The proximal step of strength * [u != 0] keeps w unchanged where D * w^2 / (2 * eta) >
    strength and zeroes it elsewhere, that is where this score exceeds sqrt(2 * eta * strength).
    A goal of zeros sets that level directly: see `level_for_zeros`.
    """
    return ops.abs(weights) * ops.sqrt(preconditioner)


def hard_threshold(weights: Tensor, scores: Tensor, level: Tensor) -> Tensor:
    """w where its score is above `level`, else 0 (the proximal step of L0, see `l0_score`)."""
    return ops.where(scores <= level, ops.zeros_like(weights), weights)


def level_for_zeros(scores: Sequence[Tensor], zeros: Tensor) -> Tensor:
    """The level at which `hard_threshold` leaves at least `zeros` zeros over all tensors.

    Args:
        scores: tensors of scores >= 0, of any shapes, ranked together.
        zeros: int32 scalar, at most the number of scores.

    Returns:
        A scalar level. Level 0, which changes nothing, when that many scores are 0 already.
        Otherwise the smallest sufficient level to 2^-24 of the largest score, so that more than
        `zeros` fall only by ties and by scores closer together than that.
    """
    flat = ops.concatenate([ops.reshape(score, (-1,)) for score in scores])

    def reaches(level: Tensor) -> Tensor:
        return ops.sum(ops.cast(flat <= level, "int32")) >= zeros

    def halve(_: Tensor, interval: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        low, high = interval
        middle = (low + high) / 2
        enough = reaches(middle)
        return ops.where(enough, low, middle), ops.where(enough, middle, high)

    nothing = ops.zeros_like(flat[0])
    _, level = ops.fori_loop(0, _HALVINGS, halve, (nothing, ops.max(flat)))
    return ops.where(reaches(nothing), nothing, level)


def ramp(progress: float) -> float:
    """1 - (1 - progress)^3: the share of the goal due at `progress` in 0..1 of the ramp.

    Steep first, when many weights are superfluous, flat last (Zhu and Gupta, 2017).
    """
    return 1.0 - (1.0 - min(max(progress, 0.0), 1.0)) ** 3


def adam_preconditioner(
    velocity: Tensor, steps: Tensor, *, beta_2: float, epsilon: float
) -> Tensor:
    """sqrt(v / (1 - beta_2^t)) + epsilon: D of Adam, AdamW and Nadam.

    Keras' Adam adds epsilon before the bias correction; the difference, a factor on epsilon = 1e-7,
    is kept out so that one formula serves all three.
    """
    correction = 1.0 - ops.power(ops.cast(beta_2, "float32"), ops.cast(steps, "float32"))
    return ops.sqrt(velocity / correction) + epsilon


def rmsprop_preconditioner(
    velocity: Tensor, average_gradient: Tensor = 0.0, *, epsilon: float
) -> Tensor:
    """sqrt(v - a^2 + epsilon): D of Keras' RMSprop; a is 0 unless it is centred."""
    return ops.sqrt(velocity - ops.square(average_gradient) + epsilon)
