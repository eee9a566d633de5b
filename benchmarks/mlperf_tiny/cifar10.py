"""CIFAR-10 as JPEG files (`../shared/data`): decoded once, and in batches for training."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

FILE = Path(__file__).parents[3] / "shared/data/cifar10_jpeg.npz"
# Pixels that an image is moved by at most, each way.
_MOST_SHIFT = 4

Images = npt.NDArray[np.uint8]
Labels = npt.NDArray[np.int32]


@dataclass(frozen=True)
class Data:
    """Images uint8[n, 32, 32, 3] and their classes 0..9."""

    x_train: Images
    y_train: Labels
    x_test: Images
    y_test: Labels


def load(work: Path) -> Data:
    """Return all images; they are decoded once, into a file in the folder `work`."""
    decoded = work / "cifar10.npz"
    if not decoded.exists():
        work.mkdir(parents=True, exist_ok=True)
        arrays: dict[str, Any] = dict(_decoded(np.load(FILE)))
        unfinished = decoded.with_suffix(".part.npz")
        np.savez(unfinished, **arrays)
        unfinished.replace(decoded)
    parts = np.load(decoded)
    return Data(*(parts[name] for name in ("x_train", "y_train", "x_test", "y_test")))


def _decoded(files: Any) -> Iterator[tuple[str, npt.NDArray[Any]]]:
    from PIL import Image

    for split in ("train", "test"):
        stream, ends = files[f"{split}_jpeg"].tobytes(), files[f"{split}_ends"]
        starts = np.concatenate([[0], ends[:-1]])
        pieces = (stream[a:b] for a, b in zip(starts, ends, strict=True))
        images = [np.asarray(Image.open(io.BytesIO(piece))) for piece in pieces]
        yield f"x_{split}", np.stack(images)
        yield f"y_{split}", files[f"{split}_labels"].astype(np.int32)


class Batches(keras.utils.PyDataset):  # type: ignore[misc]
    """Batches of training images, flipped and moved at random, in another order each epoch.

    Args:
        images: uint8[n, height, width, channels].
        labels: int32[n].
        size: images in a batch; those left over differ from epoch to epoch.
        seed: of order, flips and shifts.
    """

    def __init__(self, images: Images, labels: Labels, size: int, seed: int) -> None:
        super().__init__()
        self._images, self._labels, self._size = images, labels, size
        self._rng = np.random.default_rng(seed)
        self._order = self._rng.permutation(len(images))

    def __len__(self) -> int:
        return len(self._images) // self._size

    def __getitem__(self, batch: int) -> tuple[npt.NDArray[np.float32], Labels]:
        picks = self._order[batch * self._size : (batch + 1) * self._size]
        return augmented(self._images[picks], self._rng).astype(np.float32), self._labels[picks]

    def on_epoch_end(self) -> None:
        """Draw the next epoch's order."""
        self._order = self._rng.permutation(len(self._images))


def augmented(images: Images, rng: np.random.Generator) -> Images:
    """Return the images, half of them mirrored, each moved by up to four pixels; edges are 0."""
    count, height, width, _ = images.shape
    mirrored = np.where(rng.random((count, 1, 1, 1)) < 0.5, images[:, :, ::-1], images)
    margin = (_MOST_SHIFT, _MOST_SHIFT)
    padded = np.pad(mirrored, ((0, 0), margin, margin, (0, 0)))
    down, right = rng.integers(0, 2 * _MOST_SHIFT + 1, (2, count, 1, 1))
    rows = down + np.arange(height)[:, np.newaxis]
    every = np.arange(count)[:, np.newaxis, np.newaxis]
    moved: Images = padded[every, rows, right + np.arange(width)]
    return moved
