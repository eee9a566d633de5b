"""Training and test data, and the split of the training data that choices are made on."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from environment import BUILD, watch_file
from smartwatch import smartwatch

from tflm_sparsesep import datasets

_VALIDATION_IMAGES = 10_000
_WATCH_SUBJECTS = range(1, 11)
_WATCH_TEST = (8, 9, 10)
_WATCH_VALIDATION = (6, 7)
# Others to hold out in turn. The validation split, on which choices were made, is in none.
WATCH_FOLDS = {"smartwatch": _WATCH_TEST, "smartwatch-2": (1, 2, 3), "smartwatch-3": (4, 5)}


@dataclass(frozen=True)
class Data:
    """Inputs float32[samples, ...] and labels int32[samples]; x_test is what is judged on."""

    x_train: npt.NDArray[np.float32]
    y_train: npt.NDArray[np.int32]
    x_test: npt.NDArray[np.float32]
    y_test: npt.NDArray[np.int32]


@functools.cache
def load(name: str, *, validation: bool = False) -> Data:
    """Data set `name`; with `validation` no test sample is in it.

    Instead, the test half is then a part of the training data: 10,000 images, or two subjects.
    """
    if name in WATCH_FOLDS:
        return _smartwatch(WATCH_FOLDS[name], validation)
    data = datasets.fashion_mnist()
    if validation:
        rest = len(data.x_train) - _VALIDATION_IMAGES
        x, y = data.x_train, data.y_train
        return _data(x[:rest], y[:rest], x[rest:], y[rest:])
    return _data(data.x_train, data.y_train, data.x_test, data.y_test)


def _smartwatch(test: tuple[int, ...], validation: bool) -> Data:
    train = tuple(subject for subject in _WATCH_SUBJECTS if subject not in test)
    if validation:
        train = tuple(subject for subject in train if subject not in _WATCH_VALIDATION)
        test = _WATCH_VALIDATION
    data = smartwatch(watch_file(), train_subjects=train, test_subjects=test)
    return _data(data.x_train, data.y_train, data.x_test, data.y_test)


def _data(
    x_train: npt.NDArray[np.float32],
    y_train: npt.NDArray[np.int64],
    x_test: npt.NDArray[np.float32],
    y_test: npt.NDArray[np.int64],
) -> Data:
    return Data(x_train, y_train.astype(np.int32), x_test, y_test.astype(np.int32))


def exported(name: str, *, validation: bool = False) -> Path:
    """An .npz file with the training half, for another process."""
    path = BUILD / f"{name}{'-validation' if validation else ''}.npz"
    if not path.exists():
        data = load(name, validation=validation)
        temporary = path.with_suffix(".tmp.npz")
        np.savez(temporary, x_train=data.x_train, y_train=data.y_train)
        temporary.replace(path)
    return path
