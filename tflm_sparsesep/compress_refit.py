"""Consecutive sparse layers of a compressed model, refitted together to the original's outputs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tflm_sparsesep.compress_units import Unit
from tflm_sparsesep.converters import real_layer
from tflm_sparsesep.converters.factorize import joint_refit
from tflm_sparsesep.converters.factorize.chain import OutputLoss, importance
from tflm_sparsesep.converters.model_editor import BuiltinOperator, Operator

# Each conjugate-gradient step takes three passes over them.
_MOST_SAMPLES = 8000
_LEAST_SAMPLES = 200
_STEPS = 4


def refit_chain(
    units: Sequence[Unit], operators: Sequence[Operator], reader: Operator | None
) -> None:
    """Gives operators better weights where theirs are not zero (`joint_refit`).

    Args:
        units: fully-connected layers that read one another, as they were; what enters the first
            must be what entered it in the original.
        operators: those that compute them now, changed in place.
        reader: of the last one's output; for a SOFTMAX, scores are compared as probabilities.
    """
    samples = units[0].inputs[:_MOST_SAMPLES]
    if len(samples) < _LEAST_SAMPLES:
        return
    is_classifier = reader is not None and reader.builtin_code == BuiltinOperator.SOFTMAX
    loss = OutputLoss() if is_classifier else OutputLoss(None)
    dense = [unit.layer for unit in units]
    now = [real_layer.read(op) for op in operators]
    matter = importance(dense, samples, loss)
    found = joint_refit.refit(now, dense, samples, matter, loss=loss, steps=_STEPS)
    for op, before, layer in zip(operators, now, found, strict=True):
        real_layer.write(op, np.where(before.weights != 0, layer.weights, 0.0), layer.bias)
