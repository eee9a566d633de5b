"""MLPerf Tiny's ResNet-8 on CIFAR-10: dense, and sparse by the callback.

    python benchmarks/mlperf_tiny/resnet8.py --epochs 3                            dense
    python benchmarks/mlperf_tiny/resnet8.py --epochs 3 --zeros 0.8 --pattern 4x1
    python benchmarks/mlperf_tiny/resnet8.py --epochs 3 --instructions 0.33 --teacher

takes `pretrainedResnet.h5` (`../shared/models`), trains it on CIFAR-10 as JPEG files
(`cifar10.py`), converts it for four cores, and adds a row to results.json and README.md. A setting
that has a row is not run again; a training that was stopped goes on at the epoch that it was in.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import cifar10
import figures
import keras
import numpy as np
import rows
import tensorflow as tf

import tflm_sparsesep as ts
from tflm_sparsesep.quantize import quantize

MODEL = Path(__file__).parents[3] / "shared/models/pretrainedResnet.h5"
WORK = Path(__file__).parents[2] / "build/mlperf_tiny"
BATCH_SIZE, LEARNING_RATE = 64, 1e-3
# Training images that set the scales of activations.
CALIBRATION = 300


def main() -> None:
    arguments = _parse()
    command = _command(arguments)
    if rows.find(command) is not None:
        print(f"{command}: has a row already")
        return
    dense = _dense_row(arguments) if _is_sparse(arguments) else None
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    data = cifar10.load(arguments.work)
    model = train(arguments, data, dense)
    int8 = quantize(model, data.x_train[:CALIBRATION].astype(np.float32))
    x_test = data.x_test.astype(np.float32)
    found = figures.judge(int8, x_test, data.y_test, judged=arguments.judged)
    row = {
        "model": "resnet8",
        "method": "dense" if dense is None else "ours",
        "detail": _detail(arguments),
        "zeros": round(zeros(model), 4),
        "seed": arguments.seed,
        "dense_accuracy": (dense or found)["accuracy"],
        **found,
        "epochs": arguments.epochs,
        "samples": arguments.samples,
        "command": command,
    }
    rows.add(row)
    print(row)


def train(arguments: argparse.Namespace, data: cifar10.Data, dense: rows.Row | None) -> Any:
    """Return the trained network; from the folder of work if it is there.

    Args:
        arguments: of the command line.
        data: all images.
        dense: the row of the dense network that is trained alike; None for that network.
    """
    folder = arguments.work / _command(arguments).split(maxsplit=2)[-1].replace(" ", "_")
    finished = folder / "model.keras"
    if finished.exists():
        return keras.models.load_model(finished)
    keras.utils.set_random_seed(arguments.seed)
    model = keras.models.load_model(MODEL, compile=False)
    images, labels = data.x_train[: arguments.samples], data.y_train[: arguments.samples]
    batches = cifar10.Batches(images, labels, BATCH_SIZE, arguments.seed)
    steps = arguments.epochs * len(batches)
    model.compile(
        keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(LEARNING_RATE, steps)),
        "sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    callbacks = []
    if dense is not None:
        teacher = train(_dense(arguments), data, None) if arguments.teacher else None
        callbacks.append(callback(arguments, dense, teacher))
    callbacks.append(keras.callbacks.BackupAndRestore(folder / "backup"))
    model.fit(batches, epochs=arguments.epochs, verbose=2, callbacks=callbacks)
    model.save(finished)
    return model


def callback(arguments: argparse.Namespace, dense: rows.Row, teacher: Any) -> ts.ProximalL1:
    """Return the callback that reaches the zeros in every layer, or the instructions."""
    common = {"pattern": arguments.pattern, "teacher": teacher, "target": figures.MAIN_TARGET}
    if arguments.instructions is not None:
        whole = dense["dense_instructions"][figures.MAIN_TARGET]
        return ts.ProximalL1(instructions=round(arguments.instructions * whole), **common)
    share = arguments.zeros
    return ts.ProximalL1(zeros=share, layers={".*": share}, **common)


def zeros(model: Any) -> float:
    """Return the fraction of zeros over all kernels."""
    kernels = [np.asarray(x.kernel) for x in model.layers if hasattr(x, "kernel")]
    return sum(int(np.sum(k == 0)) for k in kernels) / sum(k.size for k in kernels)


def _is_sparse(arguments: argparse.Namespace) -> bool:
    return arguments.zeros is not None or arguments.instructions is not None


def _detail(arguments: argparse.Namespace) -> str:
    """Return what the table says of the method."""
    if not _is_sparse(arguments):
        return ""
    goal = "zeros=" if arguments.instructions is None else "instructions="
    return f", {goal} {arguments.pattern}" + (", teacher" if arguments.teacher else "")


def _dense(arguments: argparse.Namespace) -> argparse.Namespace:
    """Return the arguments of the dense network that is trained alike."""
    changed = {"zeros": None, "instructions": None, "teacher": False}
    return argparse.Namespace(**{**vars(arguments), **changed})


def _dense_row(arguments: argparse.Namespace) -> rows.Row:
    command = _command(_dense(arguments))
    row = rows.find(command)
    if row is None:
        raise SystemExit(f"results.json has no dense network trained alike; run first: {command}")
    return row


def _command(arguments: argparse.Namespace) -> str:
    parts = ["python benchmarks/mlperf_tiny/resnet8.py"]
    names = ["epochs", "samples", "seed"]
    names += [name for name in ("zeros", "instructions") if getattr(arguments, name) is not None]
    names += ["pattern"] if _is_sparse(arguments) else []
    parts += [f"--{name} {getattr(arguments, name)}" for name in names]
    return " ".join(parts + (["--teacher"] if arguments.teacher else []))


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--epochs", type=int, default=20, help="of training; default 20")
    parser.add_argument("--samples", type=int, default=50_000, help="training images")
    parser.add_argument("--seed", type=int, default=0, help="of order, flips and shifts")
    goal = parser.add_mutually_exclusive_group()
    goal.add_argument("--zeros", type=float, help="fraction in each layer; by default dense")
    goal.add_argument("--instructions", type=float, help="on Cortex-M4, as a share of dense ones")
    parser.add_argument("--pattern", default="1x1", help="of the zeros; default 1x1")
    parser.add_argument("--teacher", action="store_true", help="the dense network teaches")
    parser.add_argument("--judged", type=int, default=10_000, help="test images; default all")
    parser.add_argument("--work", type=Path, default=WORK, help="where trainings are kept")
    return parser.parse_args()


if __name__ == "__main__":
    main()
