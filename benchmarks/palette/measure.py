"""What a palette costs and saves: LeNet-300-100 on Fashion-MNIST, 90% zeros, with and without.

    python benchmarks/palette/measure.py

Two trainings of about a minute of CPU each. One line of JSON for each: accuracy on the test images
as logged in the last epoch and as int8 in TFLM, and, for each layer, bytes in the layout that
`convert` chooses and in the smallest one, with estimated instructions.
"""

from __future__ import annotations

import json
from typing import Any

import keras
import numpy as np
import tensorflow as tf

import tflm_sparsesep as ts
from tflm_sparsesep.converters import cost_model
from tflm_sparsesep.converters.choose_layout import choose_layout
from tflm_sparsesep.converters.layouts import layouts_for
from tflm_sparsesep.converters.pack import can_pack, pack
from tflm_sparsesep.datasets import Dataset, fashion_mnist
from tflm_sparsesep.packed_estimate import as_matrix, quantise

TARGET = "cortex-m4"
ZEROS, EPOCHS, BATCH, LEARNING_RATE, SEED = 0.9, 20, 128, 3e-3, 0
CALIBRATION_SAMPLES = 200


def train(data: Dataset, values: str | None) -> tuple[Any, float]:
    """The model, and its accuracy on the test images in the last epoch."""
    keras.utils.set_random_seed(SEED)
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((28, 28)),
            layers.Flatten(),
            layers.Dense(300, "relu"),
            layers.Dense(100, "relu"),
            layers.Dense(10, "softmax"),
        ]
    )
    steps = len(data.x_train) // BATCH
    rate = keras.optimizers.schedules.CosineDecay(LEARNING_RATE, steps * EPOCHS)
    model.compile(
        keras.optimizers.Adam(rate),
        "sparse_categorical_crossentropy",
        metrics=["accuracy"],
        steps_per_execution=steps // 6,
    )
    history = model.fit(
        data.x_train[: steps * BATCH],
        data.y_train[: steps * BATCH],
        batch_size=BATCH,
        epochs=EPOCHS,
        verbose=0,
        validation_data=(data.x_test, data.y_test),
        validation_batch_size=1000,
        callbacks=[ts.ProximalL1(zeros=ZEROS, values=values, target=TARGET)],
    ).history
    return model, history["val_accuracy"][-1]


def tflm_accuracy(model: Any, data: Dataset) -> float:
    """Of the converted model, int8 in TFLM."""
    calibration = data.x_train[:CALIBRATION_SAMPLES]
    result = ts.convert(model, representative_dataset=calibration, target=TARGET)
    (scores,) = ts.run(result.tflite, data.x_test, runtime="tflm", progress=False)
    return float(np.mean(scores.reshape(len(scores), -1).argmax(axis=1) == data.y_test))


def sizes(model: Any) -> list[dict[str, Any]]:
    """Each layer's layouts: the one with the best product of bytes and time, and the smallest."""
    found = []
    for layer in model.layers:
        if not hasattr(layer, "kernel"):
            continue
        weights = quantise(as_matrix(keras.ops.convert_to_numpy(layer.kernel)))
        chosen = choose_layout(weights, TARGET, batch=1)
        assert chosen is not None
        usable = [
            layout
            for layout in layouts_for(TARGET)
            if cost_model.is_measured(TARGET, layout) and can_pack(weights, layout)
        ]
        smallest = min(usable, key=lambda layout: len(pack(weights, layout)))
        blob = pack(weights, smallest)
        size = cost_model.PackedSize.of(blob)
        found.append(
            {
                "shape": list(weights.weights.shape),
                "chosen": [str(chosen.layout), len(chosen.blob), chosen.instructions],
                "smallest": [
                    str(smallest),
                    len(blob),
                    cost_model.sparse_fully_connected(TARGET, smallest, size),
                ],
            }
        )
    return found


def main() -> None:
    """Trains with and without a palette and prints both."""
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    data = fashion_mnist()
    for values in ("palette", None):
        model, accuracy = train(data, values)
        row = {
            "values": values,
            "val_accuracy": round(accuracy, 4),
            "int8_tflm_accuracy": round(tflm_accuracy(model, data), 4),
            "layers": sizes(model),
        }
        print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
