"""Search zeros, pattern and penalty of `ProximalL1` with Optuna: accuracy against instructions.

    python examples/optuna/study.py --storage study.log --trials 30
    python examples/optuna/study.py --storage mysql://user@host/studies --trials 30

needs `pip install optuna tflm-sparsesep[keras] scikit-learn`. Start it as often as there are cores
or machines, with the same storage: a file that all of them see, or the URL of a database. Each
process takes the next trial; all results are one study. The network is small, the data are
scikit-learn's digits. A part of the training data judges a trial; the test data judge nothing.
"""

from __future__ import annotations

import argparse
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import optuna
from optuna.storages import BaseStorage, JournalStorage
from optuna.storages.journal import JournalFileBackend
from sklearn.datasets import load_digits

import tflm_sparsesep as ts

NAME, TARGET = "digits", "cortex-m4"
VALIDATION = 300
PATTERNS = ("1x1", "1x4", "4x1", "4x4")
PENALTIES = ("l0", "l1/2", "l1")


def main() -> None:
    """Run trials of the study, and print the best trade-offs so far."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--storage", required=True, help="a file, or the URL of a database")
    parser.add_argument("--trials", type=int, default=30, help="that this process runs")
    parser.add_argument("--epochs", type=int, default=20)
    arguments = parser.parse_args()
    study = optuna.create_study(
        study_name=NAME,
        storage=storage(arguments.storage),
        directions=["maximize", "minimize"],
        load_if_exists=True,
    )
    study.optimize(lambda trial: objectives(trial, arguments.epochs), n_trials=arguments.trials)
    for trial in sorted(study.best_trials, key=lambda one: one.values[1]):
        accuracy, instructions = trial.values
        print(f"{accuracy:.1%} at {instructions:,.0f} instructions on {TARGET}: {trial.params}")


def storage(place: str) -> str | BaseStorage:
    """Return what processes of several machines can share."""
    return place if "://" in place else JournalStorage(JournalFileBackend(place))


def objectives(trial: optuna.Trial, epochs: int) -> tuple[float, int]:
    """Return accuracy on the validation data, int8 in TFLM, and estimated instructions."""
    zeros = trial.suggest_float("zeros", 0.5, 0.98)
    pattern = trial.suggest_categorical("pattern", PATTERNS)
    penalty = trial.suggest_categorical("penalty", PENALTIES)
    images, classes = load_digits(return_X_y=True)
    x, y = (images / 16).astype(np.float32), classes.astype(np.int64)
    x, y, x_valid, y_valid = x[:-VALIDATION], y[:-VALIDATION], x[-VALIDATION:], y[-VALIDATION:]
    keras.utils.set_random_seed(trial.number)
    model = keras.Sequential(
        [
            keras.Input((64,)),
            keras.layers.Dense(128, activation="relu"),
            keras.layers.Dense(64, activation="relu"),
            keras.layers.Dense(10),
        ]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(2e-3), loss)
    sparsify = ts.ProximalL1(zeros=zeros, pattern=pattern, penalty=penalty)
    model.fit(x, y, epochs=epochs, batch_size=64, verbose=0, callbacks=[sparsify])
    result = ts.convert(model, representative_dataset=x[:200], target=TARGET)
    (scores,) = ts.run(result.tflite, x_valid)
    accuracy = float(np.mean(scores.reshape(len(x_valid), -1).argmax(axis=1) == y_valid))
    return accuracy, result.instructions


if __name__ == "__main__":
    main()
