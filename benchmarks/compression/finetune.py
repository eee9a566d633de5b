"""Compressed networks trained on for three epochs: accuracy at the same size.

    python benchmarks/compression/finetune.py [NET ...] [--part N] [--report-only]
    python benchmarks/compression/finetune.py --choose-rate

takes the networks and sizes of measure.py, compresses without labels, and trains the compressed
form on by `fit` with labels and `KeepZeros`. --choose-rate comes first: it compares learning rates
on a part of the training data that neither the dense network nor this training has seen; test data
choose nothing. Writes finetuned.json and the tables of README.md and docs/compression.md.
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
from measure import BUDGETS, NETS, SAMPLES, accuracy, budget_of, percent

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
import data
import keras
import tuning
from jobs import Job
from models import MODELS
from settings import Setting
from training import prepare_tensorflow

import tflm_sparsesep as ts
from tflm_sparsesep.quantize import quantize

RESULTS = Path(__file__).with_name("finetuned.json")
EPOCHS = 3
BATCH = 64
# Of Adam; what is chosen falls to 0 along a cosine.
RATES = (2.5e-4, 1e-3, 4e-3)
# Whose rate a network takes: a LeNet-5 more would take an hour.
RATE_OF = {name: name for name in NETS} | {"lenet_5": "lenet_300_100"}
# Orders of the samples; of LeNet-5, which takes ten times as long, one.
SEEDS = dict.fromkeys(NETS, (0, 1, 2)) | {"lenet_5": (0,)}

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
    for name in names:
        part, fewer = (arguments.part, None) if arguments.part else BUDGETS[name]
        if not arguments.choose_rate:
            keep("rows", measure(name, part, fewer, chosen_rate(RATE_OF[name])))
        elif RATE_OF[name] == name:
            keep("rates", compare_rates(name, part))
    tables.write_finetuned(_document()["rows"])


def _document() -> Row:
    empty: Row = {"command": "python benchmarks/compression/finetune.py", "rates": [], "rows": []}
    return json.loads(RESULTS.read_text()) if RESULTS.exists() else empty


def keep(section: str, row: Row) -> None:
    """In finetuned.json, in the place of an older one; other processes may write there, too."""
    print(row, flush=True)
    document = _document()
    others = [r for r in document[section] if (r["net"], r["part"]) != (row["net"], row["part"])]
    rows = sorted([*others, row], key=lambda r: (NETS.index(r["net"]), -r["part"]))
    RESULTS.write_text(json.dumps(document | {section: rows}, indent=1) + "\n")


def chosen_rate(name: str) -> float:
    """The best on the validation split, over all sizes of the network."""
    rows = [row["accuracy"] for row in _document()["rates"] if row["net"] == name]
    if not rows:
        raise SystemExit(f"no rate of {name} yet: run with --choose-rate first")
    return max(RATES, key=lambda rate: sum(sum(row[str(rate)]) for row in rows))


def measure(name: str, part: int, fewer: float | None, rate: float) -> Row:
    """One network in one budget, before and after."""
    net = nets.load(name)
    model = nets.keras_model(name)
    labels = data.load(MODELS[name].dataset).y_train
    before = compressed(net.int8, budget_of(net, part, fewer), net.x_train, name)
    after = []
    for seed in SEEDS[name]:
        small = finetuned(before.to_keras(model), net.x_train, labels, seed, rate)
        calibration = net.x_train[: nets.CALIBRATION_SAMPLES]
        after.append(ts.convert(small, representative_dataset=calibration).tflite)
    return {
        "net": name,
        "part": part,
        "fewer": fewer,
        "epochs": EPOCHS,
        "learning_rate": rate,
        "float_accuracy": percent(net.float_accuracy),
        "forms": list(before.point.forms),
        "before": {"accuracy": accuracy(net, before.tflite), "file": len(before.tflite)},
        "after": {
            "accuracy": [accuracy(net, tflite) for tflite in after],
            "file": [len(tflite) for tflite in after],
        },
    }


def compare_rates(name: str, part: int) -> Row:
    """Accuracy on the validation split, which nothing has been trained on, for each rate."""
    job = Job(Setting(name, "dense", "1x1", None, 0), tuning.recipe(name), validation=True)
    x, y = job.data.x_train, job.data.y_train
    model = job.new_model()
    job.fit(model)
    int8 = quantize(model, x[: nets.CALIBRATION_SAMPLES])
    size = len(quantize(model, x[:1], dtype="float32"))
    before = compressed(int8, ts.Budget(flash_bytes=size // part), x, name)

    def right(candidate: Any) -> float:
        scores = candidate.predict(job.data.x_test, batch_size=1000, verbose=0)
        return percent(float(np.mean(scores.argmax(axis=1) == job.data.y_test)))

    def tuned(rate: float) -> list[float]:
        seeds = SEEDS[name]
        return [right(finetuned(before.to_keras(model), x, y, seed, rate)) for seed in seeds]

    return {
        "net": name,
        "part": part,
        "dense": right(model),
        "compressed": right(before.to_keras(model)),
        "accuracy": {str(rate): tuned(rate) for rate in RATES},
    }


def compressed(int8: bytes, budget: ts.Budget, x: Any, name: str) -> ts.CompressResult:
    """Without labels; trials are kept on disk."""
    return ts.compress(int8, budget=budget, representative_dataset=x[:SAMPLES], name=name)


def finetuned(small: Any, x: Any, y: Any, seed: int, rate: float) -> Any:
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
