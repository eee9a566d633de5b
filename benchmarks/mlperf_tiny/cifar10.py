"""CIFAR-10 as JPEG files (`../shared/data`), decoded once; images uint8[n, 32, 32, 3]."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from samples import Data, kept

FILE = Path(__file__).parents[3] / "shared/data/cifar10_jpeg.npz"
# Pixels that an image is moved by at most, each way.
_MOST_SHIFT = 4

Images = npt.NDArray[np.uint8]


def load(work: Path) -> Data:
    """Return all images; they are decoded once, into a file in the folder `work`."""
    return kept(work / "cifar10.npz", lambda: Data(**dict(_decoded(np.load(FILE)))))


def _decoded(files: Any) -> Iterator[tuple[str, npt.NDArray[Any]]]:
    from PIL import Image

    for split in ("train", "test"):
        stream, ends = files[f"{split}_jpeg"].tobytes(), files[f"{split}_ends"]
        starts = np.concatenate([[0], ends[:-1]])
        pieces = (stream[a:b] for a, b in zip(starts, ends, strict=True))
        images = [np.asarray(Image.open(io.BytesIO(piece))) for piece in pieces]
        yield f"x_{split}", np.stack(images)
        yield f"y_{split}", files[f"{split}_labels"].astype(np.int32)


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
