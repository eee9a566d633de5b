"""Compressed networks trained on for three epochs: accuracy at the same size.

    python benchmarks/compression/finetune.py [NET ...] [--part N] [--report-only]
    python benchmarks/compression/finetune.py --choose-rate

takes the networks and sizes of measure.py, compresses without labels, and trains the compressed
form on by `fit` with labels and `KeepZeros`. Writes finetuned.json and the tables of README.md and
docs/compression.md. --choose-rate prints what several learning rates reach on a part of the
training data that neither the dense network nor this training has seen; test data choose nothing.
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
from typing import Any

import nets  # finds the modules of benchmarks/accuracy
import numpy as np
import tables
from measure import NETS, SAMPLES, accuracy, percent

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
import data
import keras
from models import MODELS
from training import prepare_tensorflow

import tflm_sparsesep as ts
from tflm_sparsesep.quantize import quantize

RESULTS = Path(__file__).with_name("finetuned.json")
EPOCHS = 3
BATCH = 64
# Chosen by --choose-rate; it falls to 0 along a cosine.
LEARNING_RATE = 4e-3
RATES = (1e-3, 2e-3, 4e-3, 8e-3)
SEEDS = (0, 1, 2)
PARTS = {"lenet_300_100": (24, 22), "lenet_5": (24,), "watch_dnn": (24, 16), "watch_cnn": (24, 12)}

Row = dict[str, Any]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("nets", nargs="*", metavar="NET", help=f"of {', '.join(NETS)}")
    parser.add_argument("--part", type=int, help="only this size, a part of the float32 file")
    parser.add_argument("--choose-rate", action="store_true", help="on training data alone")
    parser.add_argument("--report-only", action="store_true", help="measure nothing")
    arguments = parser.parse_args()
    prepare_tensorflow()
    names = [] if arguments.report_only else arguments.nets or list(NETS)
    if arguments.choose_rate:
        for name in names:
            choose_rate(name)
        return
    document: Row = json.loads(RESULTS.read_text()) if RESULTS.exists() else {"rows": []}
    for name in names:
        for part in [arguments.part] if arguments.part else PARTS[name]:
            row = measure(name, part)
            print(row, flush=True)
            others = [r for r in document["rows"] if (r["net"], r["part"]) != (name, part)]
            rows = sorted([*others, row], key=lambda r: (NETS.index(r["net"]), -r["part"]))
            document = {"command": "python benchmarks/compression/finetune.py", "rows": rows}
            RESULTS.write_text(json.dumps(document, indent=1) + "\n")
    tables.write_finetuned(document["rows"])


def measure(name: str, part: int) -> Row:
    """One network at one size, before and after, means over SEEDS."""
    net = nets.load(name)
    model = nets.keras_model(name)
    labels = data.load(MODELS[name].dataset).y_train
    before = compressed(net.int8, len(net.float32) // part, net.x_train, name)
    after = []
    for seed in SEEDS:
        small = finetuned(before.to_keras(model), net.x_train, labels, seed)
        calibration = net.x_train[: nets.CALIBRATION_SAMPLES]
        after.append(ts.convert(small, representative_dataset=calibration))
        print(name, part, "seed", seed, accuracy(net, after[-1].tflite), flush=True)
    return {
        "net": name,
        "part": part,
        "epochs": EPOCHS,
        "float_accuracy": percent(net.float_accuracy),
        "forms": list(before.point.forms),
        "before": {"accuracy": accuracy(net, before.tflite), "file": len(before.tflite)},
        "after": {
            "accuracy": [accuracy(net, result.tflite) for result in after],
            "file": [len(result.tflite) for result in after],
        },
    }


def choose_rate(name: str) -> None:
    """Accuracy on the validation split, for each rate and seed."""
    spec = MODELS[name]
    raw = data.load(spec.dataset, validation=True)
    x, x_validation = (a.reshape(-1, *spec.input_shape) for a in (raw.x_train, raw.x_test))
    keras.utils.set_random_seed(0)
    model = nets.trained(name, x, raw.y_train)
    int8 = quantize(model, x[: nets.CALIBRATION_SAMPLES])
    size = len(quantize(model, x[:1], dtype="float32"))

    def right(candidate: Any) -> float:
        scores = candidate.predict(x_validation, batch_size=1000, verbose=0)
        return percent(float(np.mean(scores.argmax(axis=1) == raw.y_test)))

    for part in PARTS[name]:
        before = compressed(int8, size // part, x, name)
        print(name, part, "dense", right(model), "compressed", right(before.to_keras(model)))
        for rate in RATES:
            tuned = [finetuned(before.to_keras(model), x, raw.y_train, s, rate) for s in SEEDS]
            print(name, part, rate, [right(small) for small in tuned], flush=True)


def compressed(int8: bytes, flash_bytes: int, x: Any, name: str) -> ts.CompressResult:
    """Without labels; trials are kept on disk."""
    budget = ts.Budget(flash_bytes=flash_bytes)
    return ts.compress(int8, budget=budget, representative_dataset=x[:SAMPLES], name=name)


def finetuned(small: Any, x: Any, y: Any, seed: int, rate: float = LEARNING_RATE) -> Any:
    """`small`, trained in place."""
    keras.utils.set_random_seed(seed)  # the order of samples
    steps = len(x) // BATCH
    schedule = keras.optimizers.schedules.CosineDecay(rate, EPOCHS * steps)
    loss = "sparse_categorical_crossentropy"
    small.compile(keras.optimizers.Adam(schedule), loss, steps_per_execution=steps)
    used = steps * BATCH
    callbacks = [ts.KeepZeros()]
    small.fit(x[:used], y[:used], batch_size=BATCH, epochs=EPOCHS, verbose=0, callbacks=callbacks)
    return small


if __name__ == "__main__":
    main()
