"""Where `ProximalL1` lands when it is asked for bytes or instructions, on LeNet-300-100.

    python benchmarks/budgets/measure.py            what is missing in results.json
    python benchmarks/budgets/measure.py --again    everything

Fashion-MNIST, 20 epochs of Adam from 3e-3 with cosine decay, batches of 128, seed 0. What was
reached is what `convert` makes of the trained model for cortex-m4, not what the callback estimated.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import tensorflow as tf

import tflm_sparsesep as ts
from tflm_sparsesep.datasets import fashion_mnist

RESULTS = Path(__file__).with_name("results.json")
TARGET = "cortex-m4"
EPOCHS = 20
BATCH_SIZE = 128
GOALS = [
    ("flash_bytes", 65_536),
    ("flash_bytes", 32_768),
    ("flash_bytes", 16_384),
    ("instructions", 200_000),
    ("instructions", 100_000),
]
# How far below the goal is accepted.
LIMITS = {"flash_bytes": 0.03, "instructions": 0.05}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--again", action="store_true", help="measure what is there already")
    again = parser.parse_args().again
    tf.config.threading.set_intra_op_parallelism_threads(1)
    rows = json.loads(RESULTS.read_text()) if RESULTS.exists() and not again else []
    for kind, goal in GOALS:
        if not any((row["kind"], row["goal"]) == (kind, goal) for row in rows):
            rows.append(measure(kind, goal))
            RESULTS.write_text(json.dumps(rows, indent=1) + "\n")
    print("| asked for | reached | share | zeros | float accuracy |\n|---|---|---|---|---|")
    for row in rows:
        met = 1 - LIMITS[row["kind"]] <= row["share"] <= 1
        print(
            f"| {row['goal']:,} {row['kind']} | {row['reached']:,} | {row['share']:.3f}"
            f"{'' if met else ' (missed)'} | {row['zeros']:.1%} | {row['float_accuracy']:.2%} |"
        )


def measure(kind: str, goal: int) -> dict[str, Any]:
    """One training and its conversion."""
    data = fashion_mnist()
    model = lenet_300_100(len(data.x_train))
    options: dict[str, Any] = {kind: goal, "target": TARGET}
    start = time.process_time()
    model.fit(
        data.x_train,
        data.y_train,
        batch_size=BATCH_SIZE,
        epochs=EPOCHS,
        verbose=0,
        callbacks=[ts.ProximalL1(**options)],
    )
    seconds = time.process_time() - start
    result = ts.convert(model, representative_dataset=data.x_train[:200], target=TARGET)
    sizes = (x.packed_bytes if x.rewritten else x.dense_bytes for x in result.layers)
    reached = sum(map(int, sizes)) if kind == "flash_bytes" else result.instructions
    weights = [layer.kernel.numpy() for layer in model.layers if hasattr(layer, "kernel")]
    return {
        "kind": kind,
        "goal": goal,
        "reached": reached,
        "share": round(reached / goal, 4),
        "zeros": round(sum((w == 0).sum() for w in weights) / sum(w.size for w in weights), 4),
        "float_accuracy": round(accuracy(model, data), 4),
        "layouts": [f"{layer.pattern} {layer.index}" for layer in result.layers],
        "cpu_seconds": round(seconds),
    }


def lenet_300_100(samples: int) -> Any:
    """784-300-100-10, compiled."""
    keras.utils.set_random_seed(0)
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((28, 28)),
            layers.Flatten(),
            layers.Dense(300, activation="relu"),
            layers.Dense(100, activation="relu"),
            layers.Dense(10, activation="softmax"),
        ]
    )
    steps = EPOCHS * -(-samples // BATCH_SIZE)
    rate = keras.optimizers.schedules.CosineDecay(3e-3, steps)
    model.compile(keras.optimizers.Adam(rate), "sparse_categorical_crossentropy")
    return model


def accuracy(model: Any, data: Any) -> float:
    """Of the float model on the test images."""
    classes = model.predict(data.x_test, batch_size=1000, verbose=0).argmax(axis=1)
    return float((classes == data.y_test).mean())


if __name__ == "__main__":
    main()
