"""Recordings of a smartwatch, cut into windows, with some people held out."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tflm_sparsesep.converters.errors import ConfigError
from tflm_sparsesep.datasets import Dataset

# The file is a pickle, which can run anything when it is read: only this one is.
_WATCH_SHA256 = "eb122f23cdf06ef6bd6c6c5312958ec5cf9d038e2e6d457b8081662c75a42537"
_WATCH_SUBJECTS = frozenset(range(1, 11))


def smartwatch(
    path: Path,
    *,
    train_subjects: Collection[int] = range(1, 8),
    test_subjects: Collection[int] = range(8, 11),
    length: int = 100,
    step: int = 25,
) -> Dataset:
    """Shoulder exercises on a smartwatch: 140 recordings of 10 people, 7 exercises.

    The data of the Python package seglearn 1.2.5 (BSD; Burns et al., arXiv 1802.01489):
    acceleration and rotation rate, 6 channels at 50 Hz, cut into windows that overlap. Each
    channel is shifted and scaled to mean 0 and deviation 1 over the training subjects.

    Args:
        path: the package's file watch_dataset.npy.
        train_subjects: numbers 1 to 10.
        test_subjects: others, so that nobody is in both halves.
        length: of a window, in samples of 20 ms.
        step: from one window to the next.

    Raises:
        ConfigError: the file is not that file, or the subjects or windows cannot be had.
    """
    subjects = (frozenset(train_subjects), frozenset(test_subjects))
    if not all(s and s <= _WATCH_SUBJECTS for s in subjects) or subjects[0] & subjects[1]:
        raise ConfigError(
            f"train_subjects={sorted(subjects[0])}, test_subjects={sorted(subjects[1])}; "
            "accepted: numbers 1 to 10, none in both, at least one in each"
        )
    if length < 1 or step < 1:
        raise ConfigError(f"length={length}, step={step}; accepted: 1 or more")
    content = _read_watch(path)
    (x, y), (x_test, y_test) = (_windows(content, s, length, step) for s in subjects)
    mean, deviation = x.mean(axis=(0, 1)), x.std(axis=(0, 1))
    x, x_test = (((w - mean) / deviation).astype(np.float32) for w in (x, x_test))
    return Dataset(x, y, x_test, y_test, "smartwatch exercises (seglearn)")


def _read_watch(path: Path) -> dict[str, Any]:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
    if hashlib.sha256(data).hexdigest() != _WATCH_SHA256:
        raise ConfigError(f"{path}: accepted: the file of seglearn 1.2.5, sha256 {_WATCH_SHA256}")
    content: dict[str, Any] = np.load(io.BytesIO(data), allow_pickle=True).item()
    return content


def _windows(
    content: dict[str, Any], subjects: Collection[int], length: int, step: int
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    """Windows [windows, length, 6] and labels of all recordings of `subjects`, in file order."""
    chosen = [
        (np.asarray(recording)[begin : begin + length], label)
        for recording, label, subject in zip(
            content["X"], content["y"], content["subject"], strict=True
        )
        if subject in subjects
        for begin in range(0, len(recording) - length + 1, step)
    ]
    if not chosen:
        raise ConfigError(f"length={length}: no recording is that long")
    windows, labels = zip(*chosen, strict=True)
    return np.stack(windows), np.array(labels, np.int64)
