"""Lee and Lee (2019): the same soft threshold on all weights after each step of Adam.

The paper has no goal of zeros, only a strength, so the strength is searched: whole trainings
until one lands on the goal. Only the last one counts in `epochs` and `seconds`; what was spent on
the others is `search_epochs`.

Without debiasing the thresholds shrink with the learning rate, which ends at 0 here, and leave
weights of 1e-12 to 1e-6 that count for nothing. They are made zeros, as int8 would make them.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from jobs import Job, Trained, kernels, zeros
from settings import phases

# Trained until the nonzeros are within this share of those asked for: 94.75 to 95.25% for 95%.
_TOLERANCE = 0.05
_MOST_TRAININGS = 4
_FIRST_STRENGTH = 0.15
_MOST_GROWTH = 3.0
_INT8_MAX = 127

Probe = tuple[float, float]
"""A strength and the zeros that it gave."""


def train(job: Job) -> Trained:
    """L1 from the first step to the last."""
    return _search(job, debias_epochs=0)


def train_with_debias(job: Job) -> Trained:
    """L1, then the last epochs on the fixed support without it."""
    return _search(job, debias_epochs=phases(job.recipe.epochs)[1])


def _search(job: Job, debias_epochs: int) -> Trained:
    own: list[Probe] = []
    best: Trained | None = None
    best_error = math.inf
    while best_error > _TOLERANCE and len(own) < _MOST_TRAININGS:
        strength = next_strength(job.goal, own, job.options["probes"])
        trained = _train(job, strength, debias_epochs)
        own.append((strength, zeros(trained.model)))
        error = abs((1 - own[-1][1]) / (1 - job.goal) - 1)
        if error < best_error:
            best, best_error = trained, error
    assert best is not None
    notes = {
        "probes": [[round(strength, 6), round(share, 6)] for strength, share in own],
        "search_epochs": (len(own) - 1) * job.recipe.epochs,
    }
    return Trained(best.model, best.seconds, notes)


def _train(job: Job, strength: float, debias_epochs: int) -> Trained:
    from tflm_sparsesep import ProximalL1

    model = job.new_model()
    callback = ProximalL1(
        strength,
        preconditioned=False,
        warmup_epochs=0,
        debias_epochs=debias_epochs,
    )
    seconds = job.fit(model, [callback])
    if not debias_epochs:
        drop_negligible(model)
    return Trained(model, seconds)


def drop_negligible(model: Any) -> None:
    """Sets weights to zero that are 0 as int8, with a scale for each output unit or channel."""
    for kernel in kernels(model):
        w = np.asarray(kernel)
        half_a_step = np.abs(w).max(axis=tuple(range(w.ndim - 1))) / (2 * _INT8_MAX)
        kernel.assign(np.where(np.abs(w) < half_a_step, np.float32(0), w))


def next_strength(goal: float, own: list[Probe], others: list[Probe]) -> float:
    """The strength to try for `goal` zeros.

    log(nonzeros) is taken as linear in the strength, from no zeros at 0, between the two probes
    around the goal or beyond the two strongest; at most `_MOST_GROWTH` times what was tried.

    Args:
        own: probes of this search.
        others: probes of other seeds and goals, used until there are two of its own.
    """
    if len(own) == 1 and others:
        # The others' curve, stretched so that it passes through this search's own probe.
        strength, share = own[0]
        if share == 0:
            return _MOST_GROWTH * strength
        return strength * next_strength(goal, [], others) / next_strength(share, [], others)
    probes = own if len(own) >= 2 else [*own, *others]
    if not probes:
        return _FIRST_STRENGTH
    wanted = _log_nonzeros(goal)
    points = sorted((strength, _log_nonzeros(share)) for strength, share in [(0.0, 0.0), *probes])
    denser = [point for point in points if point[1] > wanted]
    # A little more strength can give a little fewer zeros: the smallest of those that suffice.
    enough = [point for point in points if point[1] <= wanted]
    (s1, n1), (s2, n2) = (denser[-1], enough[0]) if enough else denser[-2:]
    most = _MOST_GROWTH * points[-1][0]
    # Where the strongest gave no more zeros than the one before, their line leads nowhere.
    return most if n2 >= n1 else min(s1 + (s2 - s1) * (wanted - n1) / (n2 - n1), most)


def _log_nonzeros(zeros: float) -> float:
    return math.log(max(1 - zeros, 1e-6))
