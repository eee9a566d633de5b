"""Is TFMOT better where the sweep has it ahead? More seeds and other people held out, paired.

    python benchmarks/accuracy/paired.py

The sweep (`run.py`) has three seeds and tests on three people. Here `ours` and `tfmot` train each
setting in which TFMOT led with five seeds and each of three groups of people held out: the same
initial weights, batches, rates and epochs, the options that were chosen for the sweep. Both are
judged in TFLM, in int8. Rows go into pairs/paired.json and a table of README.md; a pair that has a
row is not run again.
"""

from __future__ import annotations

import os
from dataclasses import replace
from itertools import product
from statistics import mean, stdev

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import store
import training
import tuning
from data import WATCH_FOLDS
from evaluate import evaluate
from jobs import Job
from methods import TRAIN
from settings import Setting
from store import Row

ROWS = store.FOLDER / "pairs/paired.json"
_NAME = "paired"
# Where the sweep has TFMOT ahead.
_AHEAD = (("watch_cnn", "1x1"), ("watch_cnn", "1x4"), ("watch_cnn", "4x4"), ("watch_dnn", "1x4"))
_ZEROS = 0.9
_SEEDS = range(5)


def main() -> None:
    training.prepare_tensorflow()
    for seed, dataset, (model, pattern) in product(_SEEDS, WATCH_FOLDS, _AHEAD):
        setting = Setting(model, "ours", pattern, _ZEROS, seed)
        if not any(_key(row) == (model, pattern, dataset, seed) for row in load()):
            row = pair(setting, dataset)
            _save([*load(), row])


def pair(setting: Setting, dataset: str) -> Row:
    """Train a setting by both methods with some people held out."""
    row: Row = {
        "model": setting.model,
        "pattern": setting.pattern,
        "zeros": _ZEROS,
        "held_out": list(WATCH_FOLDS[dataset]),
        "dataset": dataset,
        "seed": setting.seed,
    }
    for method in ("ours", "tfmot"):
        own = replace(setting, method=method)
        job = Job(own, tuning.recipe(own.model), tuning.options(own), dataset=dataset)
        row[method] = evaluate(TRAIN[method](job).model, job.data)["int8_tflm_accuracy"]
    print(row, flush=True)
    return row


def load() -> list[Row]:
    """Return all rows."""
    return store.read_rows(ROWS)


def _save(rows: list[Row]) -> None:
    rows = sorted(rows, key=_key)
    store.write_rows(ROWS, rows)
    store.write_table(_NAME, table(rows))


def table(rows: list[Row]) -> str:
    """Return one line for each setting: points of ours above TFMOT, over pairs and by people."""
    folds = " | ".join(f"people {', '.join(map(str, held))}" for held in WATCH_FOLDS.values())
    lines = [
        f"| model | pattern | pairs | points | standard error | {folds} |",
        "|---|---|---|---|---|" + "---|" * len(WATCH_FOLDS),
    ]
    for model, pattern in _AHEAD:
        found = [row for row in rows if (row["model"], row["pattern"]) == (model, pattern)]
        if len(found) > 1:
            gains = [_points(row) for row in found]
            error = stdev(gains) / len(gains) ** 0.5
            by_fold = " | ".join(_fold(found, dataset) for dataset in WATCH_FOLDS)
            head = f"| {model} | {pattern} | {len(found)} | {mean(gains):+.2f} | {error:.2f} "
            lines.append(f"{head}| {by_fold} |")
    return "\n".join(lines) + "\n"


def _fold(rows: list[Row], dataset: str) -> str:
    gains = [_points(row) for row in rows if row["dataset"] == dataset]
    return f"{mean(gains):+.2f}" if gains else ""


def _points(row: Row) -> float:
    return 100 * float(row["ours"] - row["tfmot"])


def _key(row: Row) -> tuple[str, str, str, int]:
    return row["model"], row["pattern"], row["dataset"], row["seed"]


if __name__ == "__main__":
    main()
