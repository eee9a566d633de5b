"""One training, under Keras 3 or tf-keras: the callbacks are the method."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from networks import Network
from samples import Data, batches


def prepare_tensorflow() -> None:
    """Take one thread, before TensorFlow's first operation: other work shares the machine."""
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)


def steps_per_epoch(network: Network, data: Data) -> int:
    """Return the number of whole batches."""
    return len(data.x_train) // network.batch_size


def fit(
    keras: Any,
    model: Any,
    network: Network,
    data: Data,
    *,
    epochs: int,
    seed: int,
    callbacks: Sequence[Any] = (),
) -> None:
    """Train `model`, made with the module `keras`, in place; the same batches for the same seed."""
    steps = steps_per_epoch(network, data)
    rate = keras.optimizers.schedules.CosineDecay(network.learning_rate, epochs * steps)
    model.compile(
        keras.optimizers.Adam(rate), "sparse_categorical_crossentropy", metrics=["accuracy"]
    )
    model.fit(
        batches(data.x_train, data.y_train, network.batch_size, seed, network.augment),
        epochs=epochs,
        steps_per_epoch=steps,
        callbacks=list(callbacks),
        verbose=2,
    )
