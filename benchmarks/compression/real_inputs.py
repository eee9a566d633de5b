"""Real inputs of MLPerf Tiny's models: some to calibrate and to choose with, others to judge.

They are in `../shared/data` beside the checkout, and no part of this project.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

SHARED = Path(__file__).parents[3] / "shared"
DATA = SHARED / "data"

_FRAMES = 5
"""Consecutive log-mel frames in an input of the anomaly detector."""
_CALIBRATION_FRAMES = 120
_CALIBRATION_KEYWORDS = 300

Array = npt.NDArray[Any]
Split = tuple[Array, Array]


def split(model: str) -> Split:
    """Return inputs to calibrate with, and others to judge on.

    Args:
        model: the stem of the file's name.

    Raises:
        KeyError: there are no inputs for it.
        FileNotFoundError: the data are not there.
    """
    return SPLITS[model]()


def keywords(column: str = "x") -> Split:
    """Return MFCCs of spoken commands, int8[n, 49, 10, 1], or their classes."""
    with np.load(DATA / "mlperf_tiny_kws.npz") as found:
        values = found[column][np.random.default_rng(0).permutation(len(found["x"]))]
    return values[:_CALIBRATION_KEYWORDS], values[_CALIBRATION_KEYWORDS:]


def machine_sound() -> Split:
    """Return windows of five frames, float32[n, 640]; no frame is on both sides."""
    with np.load(DATA / "ad01_normal.npz") as found:
        frames = found["frames"]
    parts = (frames[:_CALIBRATION_FRAMES], frames[_CALIBRATION_FRAMES:])
    first, second = (np.lib.stride_tricks.sliding_window_view(p, _FRAMES, axis=0) for p in parts)
    return _flat(first), _flat(second)


def wake_words() -> Split:
    """Return spectrograms, float32[n, 30, 1, 40]; every third one judges."""
    with np.load(DATA / "str_ww_calibration.npz") as found:
        specs = found["specs"].astype(np.float32)
    judged = np.arange(len(specs)) % 3 == 2
    return specs[~judged], specs[judged]


def _flat(windows: Array) -> Array:
    """Return windows [n, values, frames] frame by frame, [n, frames * values]."""
    found: Array = windows.transpose(0, 2, 1).reshape(len(windows), -1)
    return found


SPLITS: dict[str, Callable[[], Split]] = {
    "ad01_int8": machine_sound,
    "kws_ref_model": keywords,
    "str_ww_ref_model": wake_words,
}
