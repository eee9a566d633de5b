"""L1 as Keras has it, `kernel_regularizer`, and small weights set to zero after the training."""

from __future__ import annotations

from typing import Any

import numpy as np
from jobs import Job, Trained, kernels


def train(job: Job) -> Trained:
    """The strength is the option `l1`."""
    trained = train_regularized(job, job.options["l1"])
    threshold(trained.model, job.goal)
    return trained


def train_regularized(job: Job, strength: float) -> Trained:
    """Adds strength * sum |w| over all kernels to the loss; gives no exact zeros."""
    import keras

    model = job.new_model()
    for layer in model.layers:
        if hasattr(layer, "kernel"):
            layer.kernel.regularizer = keras.regularizers.L1(strength)
    return Trained(model, job.fit(model))


def threshold(model: Any, zeros: float) -> None:
    """Sets the smallest weights of all kernels together to zero, in one go."""
    weights = [np.asarray(kernel) for kernel in kernels(model)]
    magnitudes = np.sort(np.concatenate([np.abs(w).ravel() for w in weights]))
    # The small term keeps 0.9 * 10 = 9.000000000000002 at 9.
    level = magnitudes[int(np.ceil(zeros * len(magnitudes) - 1e-6)) - 1]
    for kernel, w in zip(kernels(model), weights, strict=True):
        kernel.assign(np.where(np.abs(w) <= level, np.float32(0), w))
