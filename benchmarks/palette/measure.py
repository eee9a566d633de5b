"""What a palette costs and saves: LeNet-300-100 on Fashion-MNIST, 90% zeros, with and without.

    python benchmarks/palette/measure.py

Two trainings of about a minute of CPU each. Writes results.json: accuracy on the test images as
logged in the last epoch and, for `convert` with each preference, as int8 in TFLM, with bytes and
estimated instructions of each layer in the layout that was chosen.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

import tflm_sparsesep as ts
from tflm_sparsesep.converters.cost.choose_layout import PREFERENCES, Prefer
from tflm_sparsesep.datasets import Dataset, fashion_mnist

COMMAND = "python benchmarks/palette/measure.py"
RESULTS = Path(__file__).with_name("results.json")
TARGET = "cortex-m4"
PREFER: tuple[Prefer | None, ...] = (None, *PREFERENCES)
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


def converted(model: Any, data: Dataset, prefer: Prefer | None) -> dict[str, Any]:
    """What `convert` makes of the model: accuracy as int8 in TFLM, the file, its layers."""
    calibration = data.x_train[:CALIBRATION_SAMPLES]
    result = ts.convert(model, representative_dataset=calibration, target=TARGET, prefer=prefer)
    (scores,) = ts.run(result.tflite, data.x_test, runtime="tflm", progress=False)
    right = scores.reshape(len(scores), -1).argmax(axis=1) == data.y_test
    return {
        "int8_tflm_accuracy": round(float(np.mean(right)), 4),
        "file_bytes": len(result.tflite),
        "layers": [
            {
                "shape": [layer.rows, layer.cols],
                "layout": f"{layer.pattern}_{layer.index}" if layer.rewritten else "dense",
                "bytes": layer.packed_bytes if layer.rewritten else layer.dense_bytes,
                "instructions": layer.sparse_instructions
                if layer.rewritten
                else layer.dense_instructions,
            }
            for layer in result.layers
        ],
    }


def main() -> None:
    """Trains with and without a palette and writes both."""
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    data = fashion_mnist()
    rows = []
    for values in ("palette", None):
        model, accuracy = train(data, values)
        row = {
            "values": values,
            "val_accuracy": round(accuracy, 4),
            "convert": {str(prefer): converted(model, data, prefer) for prefer in PREFER},
        }
        print(json.dumps(row), flush=True)
        rows.append(row)
    RESULTS.write_text(json.dumps({"command": COMMAND, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
