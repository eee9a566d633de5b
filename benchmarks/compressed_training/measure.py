"""Accuracy, memory and time of compressed training; writes results.json and README.md's tables.

    python benchmarks/compressed_training/measure.py

About 6 minutes of CPU time, most of it the Keras path, which is trained once for each seed and kept
in build/compressed_training. Times are on one thread each and published as ratios only.
"""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

# Before numpy and pocl begin their threads.
os.environ |= {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "POCL_MAX_PTHREAD_COUNT": "1"}

import numpy as np
import numpy.typing as npt
from dense_trainers import NumpyTrainer, OpenClTrainer

from tflm_sparsesep import datasets
from tflm_sparsesep.opencl import CompressedMLP, Device, SparseLayer

FOLDER = Path(__file__).parent
BUILD = FOLDER.parents[1] / "build/compressed_training"
sys.path.insert(0, str(FOLDER.parent / "accuracy"))
training = importlib.import_module("training")

SEEDS = (0, 1, 2)
SHAPES = ((300, 784), (100, 300), (10, 100))
BATCH = 128
LEARNED_EPOCHS, EPOCHS = 14, 20
RATE, FINE_TUNING_RATE = 3e-3, 1e-3
ZEROS = (0.8, 0.9, 0.95)
PATTERNS = ("1x1", "1x4", "4x4")
ROUNDS = 15
STEPS = 20
# Weights, and two moments of each: what a dense trainer keeps. A gradient is one more.
DENSE_BYTES = 12 * sum(rows * cols + rows for rows, cols in SHAPES)

Array = npt.NDArray[Any]
Row = dict[str, Any]


def main() -> None:
    """Measures everything and writes it down."""
    results: dict[str, Any] = {
        "device": Device().name,
        "accuracy": [row for seed in SEEDS for row in accuracy(seed)],
        "memory": [memory(zeros, pattern) for pattern in PATTERNS for zeros in ZEROS],
        "step": [step_time(zeros, pattern) for pattern in PATTERNS for zeros in ZEROS],
    }
    (FOLDER / "results.json").write_text(json.dumps(results, indent=1) + "\n")
    readme = FOLDER / "README.md"
    text = readme.read_text()
    for name in ("accuracy", "memory", "step"):
        begin, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->"
        head, rest = text.split(begin)
        text = head + begin + _table(results[name]) + end + rest.split(end)[1]
    readme.write_text(text)


def accuracy(seed: int) -> list[Row]:
    """Both starts of `keras_path.py`, trained on by Keras and by us with the same batches."""
    path = BUILD / f"seed{seed}.npz"
    if not path.exists():
        command = [sys.executable, str(FOLDER / "keras_path.py"), str(seed), str(path)]
        subprocess.run(command, check=True)
    keras = np.load(path)
    data = datasets.fashion_mnist()
    rows = []
    for name, first, epochs, rate in (
        ("ours", LEARNED_EPOCHS, EPOCHS, RATE),
        ("pruned", 0, EPOCHS - LEARNED_EPOCHS, FINE_TUNING_RATE),
    ):
        recipe = training.Recipe(epochs, BATCH, rate)
        order = training.batch_order(len(data.x_train), recipe, seed)
        steps = recipe.steps_per_epoch(len(data.x_train))
        mlp = CompressedMLP(_layers([keras[f"{name}_start/{i}"] for i in range(6)]))
        zeros = mlp.zeros
        before = mlp.evaluate(data.x_test, data.y_test).accuracy
        for epoch in range(first, epochs):
            chosen = order[epoch * steps : (epoch + 1) * steps].ravel()
            mlp.fit(
                data.x_train[chosen],
                data.y_train[chosen],
                batch_size=BATCH,
                shuffle=False,
                learning_rate=_cosine(rate, first * steps, len(order)),
            )
        after = mlp.evaluate(data.x_test, data.y_test).accuracy
        in_keras = float(keras[f"{name}_accuracy/0"])
        rows.append(
            {
                "start": name,
                "seed": seed,
                "zeros": round(zeros, 4),
                "before": round(before, 4),
                "keras": round(in_keras, 4),
                "opencl": round(after, 4),
                "difference_points": round(100 * (after - in_keras), 2),
            }
        )
    return rows


def memory(zeros: float, pattern: str) -> Row:
    """The most bytes of weights, places, moments and gradients, after one training step."""
    mlp = CompressedMLP(_random_layers(zeros, pattern))
    x, y = _batch()
    mlp.fit(x, y, batch_size=BATCH)
    state = mlp.memory.peak_of_state
    gradients = mlp.memory.peak["gradients"]
    # The dense trainer's gradients, all of them or of the largest layer alone as ours.
    dense_gradients = 4 * max(rows * cols + rows for rows, cols in SHAPES)
    return {
        "pattern": pattern,
        "zeros": zeros,
        "bytes": state - gradients,
        "of_dense": round((state - gradients) / DENSE_BYTES, 3),
        "bytes_with_gradients": state,
        "of_dense_with_gradients": round(state / (DENSE_BYTES + dense_gradients), 3),
    }


def step_time(zeros: float, pattern: str) -> Row:
    """How many times a dense step takes as long: the least of `ROUNDS`, taken in turns."""
    layers = _random_layers(zeros, pattern)
    dense = [(layer.to_dense(), layer.bias) for layer in layers]
    device = Device()
    mlp = CompressedMLP(layers, device=device)
    x, y = _batch()
    many = np.tile(x, (STEPS, 1)), np.tile(y, STEPS)
    numpy_trainer, opencl_trainer = NumpyTrainer(dense), OpenClTrainer(device, dense, BATCH)

    def repeated(step: Callable[[Array, Array], None]) -> Callable[[], None]:
        def run() -> None:
            for i in range(STEPS):
                chosen = slice(i * BATCH, (i + 1) * BATCH)
                step(many[0][chosen], many[1][chosen])

        return run

    trainers: dict[str, Callable[[], object]] = {
        "compressed": lambda: mlp.fit(*many, batch_size=BATCH, shuffle=False),
        "numpy": repeated(numpy_trainer.step),
        "opencl": repeated(opencl_trainer.step),
    }
    seconds = {name: float("inf") for name in trainers}
    for _ in range(ROUNDS):
        for name, train in trainers.items():
            start = time.process_time()
            train()
            seconds[name] = min(seconds[name], time.process_time() - start)
    return {
        "pattern": pattern,
        "zeros": zeros,
        "numpy_by_compressed": round(seconds["numpy"] / seconds["compressed"], 2),
        "opencl_gemm_by_compressed": round(seconds["opencl"] / seconds["compressed"], 2),
    }


def _cosine(rate: float, begin: int, length: int) -> Callable[[int], float]:
    """Keras' CosineDecay over `length` steps, of which `begin` are over."""
    return lambda step: rate * 0.5 * (1 + np.cos(np.pi * (begin + step) / length))


def _layers(weights: list[Array]) -> list[SparseLayer]:
    """Those of kernels [inputs, outputs] and biases in turns, as Keras lists them."""
    last = len(weights) // 2 - 1
    return [
        SparseLayer.from_dense(kernel.T, bias, activation=None if i == last else "relu")
        for i, (kernel, bias) in enumerate(zip(weights[0::2], weights[1::2], strict=True))
    ]


def _random_layers(zeros: float, pattern: str) -> list[SparseLayer]:
    rng = np.random.default_rng(0)
    height, width = map(int, pattern.split("x"))
    found = []
    for i, (rows, cols) in enumerate(SHAPES):
        tiles = rng.random((-(-rows // height), -(-cols // width))) >= zeros
        kept = tiles.repeat(height, axis=0).repeat(width, axis=1)[:rows, :cols]
        weights = (kept * rng.normal(0, 0.05, (rows, cols))).astype(np.float32)
        activation = None if i + 1 == len(SHAPES) else "relu"
        found.append(SparseLayer.from_dense(weights, pattern=pattern, activation=activation))
    return found


def _batch() -> tuple[Array, Array]:
    rng = np.random.default_rng(1)
    x = rng.random((BATCH, SHAPES[0][1]), np.float32)
    return x, rng.integers(0, SHAPES[-1][0], BATCH).astype(np.int32)


def _table(rows: list[Row]) -> str:
    columns = list(rows[0])
    lines = [columns, ["---"] * len(columns), *([str(row[c]) for c in columns] for row in rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


if __name__ == "__main__":
    main()
