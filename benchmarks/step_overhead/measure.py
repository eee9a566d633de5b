"""What `ProximalL1` adds to a training step of LeNet-5: CPU time with and without, in one run.

    python benchmarks/step_overhead/measure.py

Fits of a plain and of a sparse model take turns. A step's time is the process' CPU time between the
ends of two batches, which other processes disturb less than the clock; a phase's time is the mean
over its steps, so that the work of every 32nd step counts, and the best of all rounds is reported.
"""

from __future__ import annotations

import argparse
import os
import time
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf

from tflm_sparsesep.training.proximal_l1 import ProximalL1

BATCH_SIZE = 128
# A multiple of the 32 steps between two projections.
STEPS = 64

SETTINGS: dict[str, dict[str, Any]] = {
    "zeros, sparsifying": {"zeros": 0.95, "warmup_epochs": 0, "debias_epochs": 0},
    "zeros, debias": {"zeros": 0.95, "warmup_epochs": 0, "debias_epochs": 1},
    "strength, sparsifying": {"strength": 1e-4, "warmup_epochs": 0, "debias_epochs": 0},
}


class StepTimes(keras.callbacks.Callback):  # type: ignore[misc]
    """CPU seconds of a step, on average over the last epoch."""

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        if batch == 0:
            self.begin = time.process_time()
        self.mean = (time.process_time() - self.begin) / max(batch, 1)


def lenet_5() -> Any:
    """20 and 50 filters of 5x5, 500 hidden units."""
    keras.utils.set_random_seed(0)
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            layers.Conv2D(20, 5, activation="relu"),
            layers.MaxPooling2D(),
            layers.Conv2D(50, 5, activation="relu"),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dense(500, activation="relu"),
            layers.Dense(10, activation="softmax"),
        ]
    )
    model.compile("adam", "sparse_categorical_crossentropy")
    return model


def step_seconds(model: Any, data: Any, options: dict[str, Any] | None) -> float:
    """CPU seconds of a step in the second of two epochs, the first of which compiles."""
    times = StepTimes()
    callbacks = [times] if options is None else [ProximalL1(**options), times]
    model.fit(*data, batch_size=BATCH_SIZE, epochs=2, verbose=0, callbacks=callbacks)
    return times.mean


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    rng = np.random.default_rng(0)
    samples = BATCH_SIZE * (STEPS + 1)
    data = rng.random((samples, 28, 28, 1), np.float32), rng.integers(0, 10, samples)
    model = lenet_5()
    best = dict.fromkeys(["plain", *SETTINGS], float("inf"))
    for _ in range(rounds):
        for name in best:
            seconds = step_seconds(model, data, SETTINGS.get(name))
            best[name] = min(best[name], seconds)
    for name, seconds in best.items():
        print(f"{name:24} {1e3 * seconds:7.2f} ms CPU a step, {seconds / best['plain'] - 1:+.1%}")


if __name__ == "__main__":
    main()
