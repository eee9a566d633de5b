"""Spoken digits (`../shared/data`) as the keyword spotter of MLPerf Tiny takes sound: MFCC.

Frames of 40 ms every 20 ms, 40 mel bands from 20 to 4,000 Hz, the first 10 coefficients:
[49, 10, 1] for one second, as in MLPerf Tiny's `kws01`, but for the rate of 8 kHz.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from samples import Data, kept

FILE = Path(__file__).parents[3] / "shared/data/spoken_digits.npz"
RATE, FRAME, STEP, FRAMES = 8_000, 320, 160, 49
BANDS, COEFFICIENTS, LOWEST_HZ = 40, 10, 20.0
# Two of the six speakers are held out in each fold.
FOLDS = ((0, 1), (2, 3), (4, 5))
# Root mean square of a word.
LOUDNESS = 0.1
# Of each training word: itself, and others spoken faster or slower, with a longer or shorter vocal
# tract (both factors e^-x to e^x), and in noise so many dB below the word.
COPIES, SLOWER, LONGER, NOISE_DB = 15, 0.25, 0.18, (15.0, 45.0)
# Frames that a word is moved by at most, each way; deviations of what its loudness and its other
# coefficients are changed by; frames that are left out at most.
_MOST_SHIFT, _LOUDER, _OTHER_TIMBRE, _MOST_LEFT_OUT = 8, 0.3, 0.6, 9

Features = npt.NDArray[np.float32]


def load(work: Path, seed: int) -> Data:
    """Return the fold `seed` modulo 3: features of four speakers to train on, of two to judge.

    Four speakers are few: each training word comes in 15 variants. Features are shifted and scaled
    to mean 0 and deviation 1 over them.

    Args:
        work: where the features are kept; computing them takes a minute.
        seed: of the training.
    """
    fold = seed % len(FOLDS)
    return kept(work / f"spoken_digits_{fold}.npz", lambda: _fold(fold))


def _fold(fold: int) -> Data:
    file = np.load(FILE)
    words = np.split(file["samples"], file["ends"][:-1])
    held_out = np.isin(file["speaker"], FOLDS[fold])
    training = [word for word, out in zip(words, held_out, strict=True) if not out]
    rng = np.random.default_rng(0)
    variants = [_variant(word, rng) for _ in range(COPIES - 1) for word in training]
    x = _stacked([*map(mfcc, training), *variants])
    x_test = _stacked([mfcc(word) for word, out in zip(words, held_out, strict=True) if out])
    mean, deviation = x.mean(axis=(0, 1)), x.std(axis=(0, 1))
    x, x_test = (((f - mean) / deviation).astype(np.float32) for f in (x, x_test))
    y = file["digit"].astype(np.int32)
    return Data(x, np.tile(y[~held_out], COPIES), x_test, y[held_out])


def _stacked(features: Sequence[Features]) -> Features:
    return np.stack(features)[..., np.newaxis]


def _variant(word: npt.NDArray[Any], rng: np.random.Generator) -> Features:
    """Return the features of a word as somebody else might say it elsewhere."""
    from scipy.signal import resample

    slower, longer = (float(np.exp(rng.uniform(-most, most))) for most in (SLOWER, LONGER))
    slowed = resample(word.astype(np.float64), int(len(word) * slower))
    noise = LOUDNESS * 10 ** (-rng.uniform(*NOISE_DB) / 20)
    return mfcc(slowed, longer=longer, noise=rng.normal(0.0, noise, RATE))


def mfcc(word: npt.NDArray[Any], *, longer: float = 1.0, noise: Any = 0.0) -> Features:
    """Return float32[49, 10] of one second with the word in its middle, all equally loud.

    Args:
        word: samples.
        longer: factor on the length of the vocal tract: formants are that much lower, pitch stays.
        noise: [RATE], added.
    """
    from scipy.fft import dct

    word = word.astype(np.float32)
    samples = _one_second(word * (LOUDNESS / np.sqrt(np.mean(np.square(word)) + 1e-9))) + noise
    starts = np.arange(FRAMES)[:, np.newaxis] * STEP
    frames = samples[starts + np.arange(FRAME)] * np.hanning(FRAME)
    power = np.abs(np.fft.rfft(frames, 512)) ** 2
    # The floor is below the noise of the recordings.
    mel = np.log(power @ _mel_filters(512, longer) + 1e-5)
    cepstrum: Features = dct(mel, norm="ortho")[:, :COEFFICIENTS]
    return cepstrum.astype(np.float32)


def _one_second(word: Features) -> Features:
    excess = len(word) - RATE
    if excess > 0:
        return word[excess // 2 : excess // 2 + RATE]
    return np.pad(word, (-excess // 2, -excess - (-excess // 2)))


@functools.lru_cache(maxsize=1)
def _mel_filters(points: int, longer: float) -> npt.NDArray[Any]:
    """Return the triangles [points / 2 + 1, BANDS] over the spectrum, as if it were higher."""

    def mel(hertz: Any) -> Any:
        return 1127.0 * np.log1p(np.asarray(hertz) / 700.0)

    edges = np.linspace(mel(LOWEST_HZ), mel(RATE / 2), BANDS + 2)
    bins = mel(np.arange(points // 2 + 1) * RATE / points * longer)[:, np.newaxis]
    rise = (bins - edges[:-2]) / (edges[1:-1] - edges[:-2])
    fall = (edges[2:] - bins) / (edges[2:] - edges[1:-1])
    filters: npt.NDArray[Any] = np.maximum(0.0, np.minimum(rise, fall))
    return filters


def augmented(features: Features, rng: np.random.Generator) -> Features:
    """Return the words moved in time, louder or softer (the first coefficient), with some noise.

    The other coefficients are moved as another microphone would. Some frames in a row are left out:
    they are the mean.
    """
    count, frames, coefficients, _ = features.shape
    shift = rng.integers(-_MOST_SHIFT, _MOST_SHIFT + 1, (count, 1))
    source = np.clip(np.arange(frames) + shift, 0, frames - 1)
    moved = features[np.arange(count)[:, np.newaxis], source]
    moved = moved + rng.normal(0.0, 0.1, moved.shape)
    deviations = np.full((coefficients, 1), _OTHER_TIMBRE)
    deviations[0] = _LOUDER
    moved += rng.normal(0.0, deviations, (count, 1, coefficients, 1))
    first, left_out = rng.integers(0, (frames, _MOST_LEFT_OUT + 1), (count, 2)).T[..., np.newaxis]
    frame = np.arange(frames)
    moved[(frame >= first) & (frame < first + left_out)] = 0.0
    changed: Features = moved.astype(np.float32)
    return changed
