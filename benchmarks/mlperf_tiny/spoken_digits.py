"""Spoken digits (`../shared/data`) as the keyword spotter of MLPerf Tiny takes sound: MFCC.

Frames of 40 ms every 20 ms, 40 mel bands from 20 to 4,000 Hz, the first 10 coefficients:
[49, 10, 1] for one second, as in MLPerf Tiny's `kws01`, but for the rate of 8 kHz.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from samples import Data

FILE = Path(__file__).parents[3] / "shared/data/spoken_digits.npz"
RATE, FRAME, STEP, FRAMES = 8_000, 320, 160, 49
BANDS, COEFFICIENTS, LOWEST_HZ = 40, 10, 20.0
# Two of the six speakers are held out in each fold.
FOLDS = ((0, 1), (2, 3), (4, 5))
# Root mean square of a word; how much slower training words are spoken.
LOUDNESS, SLOWER = 0.1, (1.0, 0.8, 0.9, 1.12, 1.25)
# Frames that a word is moved by at most, each way; deviation of what its loudness is changed by.
_MOST_SHIFT, _LOUDER = 8, 0.3

Features = npt.NDArray[np.float32]


def load(work: Path, seed: int) -> Data:
    """Return the fold `seed` modulo 3: features of four speakers to train on, of two to judge.

    Training words come at five speeds, which changes the pitch, too. Features are shifted and
    scaled to mean 0 and deviation 1 over them.

    Args:
        work: unused; the features are computed in a few seconds.
        seed: of the training.
    """
    file = np.load(FILE)
    words = np.split(file["samples"], file["ends"][:-1])
    held_out = np.isin(file["speaker"], FOLDS[seed % len(FOLDS)])
    training = [word for word, out in zip(words, held_out, strict=True) if not out]
    x = _features([_slowed(word, factor) for factor in SLOWER for word in training])
    x_test = _features([word for word, out in zip(words, held_out, strict=True) if out])
    mean, deviation = x.mean(axis=(0, 1)), x.std(axis=(0, 1))
    x, x_test = (((f - mean) / deviation).astype(np.float32) for f in (x, x_test))
    y = file["digit"].astype(np.int32)
    return Data(x, np.tile(y[~held_out], len(SLOWER)), x_test, y[held_out])


def _features(words: Sequence[npt.NDArray[Any]]) -> Features:
    return np.stack([mfcc(word) for word in words])[..., np.newaxis]


def _slowed(word: npt.NDArray[Any], factor: float) -> npt.NDArray[Any]:
    from scipy.signal import resample

    slowed: npt.NDArray[Any] = resample(word.astype(np.float64), int(len(word) * factor))
    return slowed


def mfcc(word: npt.NDArray[Any]) -> Features:
    """Return float32[49, 10] of one second with the word in its middle, all equally loud."""
    from scipy.fft import dct

    word = word.astype(np.float32)
    samples = _one_second(word * (LOUDNESS / np.sqrt(np.mean(np.square(word)) + 1e-9)))
    starts = np.arange(FRAMES)[:, np.newaxis] * STEP
    frames = samples[starts + np.arange(FRAME)] * np.hanning(FRAME)
    power = np.abs(np.fft.rfft(frames, 512)) ** 2
    # The floor is below the noise of the recordings.
    mel = np.log(power @ _mel_filters(512) + 1e-5)
    cepstrum: Features = dct(mel, norm="ortho")[:, :COEFFICIENTS]
    return cepstrum.astype(np.float32)


def _one_second(word: Features) -> Features:
    excess = len(word) - RATE
    if excess > 0:
        return word[excess // 2 : excess // 2 + RATE]
    return np.pad(word, (-excess // 2, -excess - (-excess // 2)))


def _mel_filters(points: int) -> npt.NDArray[Any]:
    """Return the triangles [points / 2 + 1, BANDS] over the spectrum."""

    def mel(hertz: Any) -> Any:
        return 1127.0 * np.log1p(np.asarray(hertz) / 700.0)

    edges = np.linspace(mel(LOWEST_HZ), mel(RATE / 2), BANDS + 2)
    bins = mel(np.arange(points // 2 + 1) * RATE / points)[:, np.newaxis]
    rise = (bins - edges[:-2]) / (edges[1:-1] - edges[:-2])
    fall = (edges[2:] - bins) / (edges[2:] - edges[1:-1])
    filters: npt.NDArray[Any] = np.maximum(0.0, np.minimum(rise, fall))
    return filters


def augmented(features: Features, rng: np.random.Generator) -> Features:
    """Return the words moved in time, louder or softer (the first coefficient), with some noise."""
    count, frames, *_ = features.shape
    shift = rng.integers(-_MOST_SHIFT, _MOST_SHIFT + 1, (count, 1))
    source = np.clip(np.arange(frames) + shift, 0, frames - 1)
    moved = features[np.arange(count)[:, np.newaxis], source]
    moved = moved + rng.normal(0.0, 0.1, moved.shape)
    moved[:, :, 0] += rng.normal(0.0, _LOUDER, (count, 1, 1))
    changed: Features = moved.astype(np.float32)
    return changed
