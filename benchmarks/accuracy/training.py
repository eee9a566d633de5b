"""One training by the common recipe, under Keras 3 or tf-keras: the callbacks are the method.

Adam with cosine decay to 0, cross-entropy, the same batches in the same order for the same seed.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class Recipe:
    """What all methods of a model have in common."""

    epochs: int
    batch_size: int
    learning_rate: float

    def steps_per_epoch(self, samples: int) -> int:
        """Whole batches; the samples left over differ from epoch to epoch."""
        return samples // self.batch_size


def batch_order(samples: int, recipe: Recipe, seed: int) -> npt.NDArray[np.int32]:
    """Indices of the samples of each step, int32[epochs * steps, batch_size]."""
    rng = np.random.default_rng(seed)
    used = recipe.steps_per_epoch(samples) * recipe.batch_size
    epochs = [rng.permutation(samples)[:used] for _ in range(recipe.epochs)]
    return np.concatenate(epochs).reshape(-1, recipe.batch_size).astype(np.int32)


def batches(x: npt.NDArray[Any], y: npt.NDArray[Any], order: npt.NDArray[np.int32]) -> Any:
    """A tf.data set of all steps of all epochs, for `fit(steps_per_epoch=...)`."""
    import tensorflow as tf

    inputs, labels = tf.constant(x), tf.constant(y)
    dataset = tf.data.Dataset.from_tensor_slices(order).map(
        lambda batch: (tf.gather(inputs, batch), tf.gather(labels, batch))
    )
    options = tf.data.Options()
    options.threading.private_threadpool_size = 1
    return dataset.with_options(options)


def fit(
    keras: Any,
    model: Any,
    x: npt.NDArray[Any],
    y: npt.NDArray[Any],
    recipe: Recipe,
    seed: int,
    *,
    callbacks: Sequence[Any] = (),
    one_call_per_epoch: bool = True,
) -> float:
    """Trains `model` in place.

    Args:
        keras: the module that `model` was made with.
        one_call_per_epoch: whether an epoch is one compiled call; callbacks that act between
            steps need False.

    Returns:
        CPU seconds, which other processes on the machine do not change much.
    """
    order = batch_order(len(x), recipe, seed)
    steps = recipe.steps_per_epoch(len(x))
    rate = keras.optimizers.schedules.CosineDecay(recipe.learning_rate, len(order))
    model.compile(
        keras.optimizers.Adam(rate),
        "sparse_categorical_crossentropy",
        steps_per_execution=steps if one_call_per_epoch else 1,
    )
    start = time.process_time()
    model.fit(
        batches(x, y, order),
        epochs=recipe.epochs,
        steps_per_epoch=steps,
        callbacks=list(callbacks),
        shuffle=False,
        verbose=0,
    )
    return time.process_time() - start


def prepare_tensorflow() -> None:
    """Before TensorFlow's first operation: one thread, as other work shares the machine."""
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    tf.get_logger().setLevel("ERROR")  # it warns of retracing, which each new network needs
