"""Data sets of the demo: Fashion-MNIST, or scikit-learn's digits."""

from __future__ import annotations

import gzip
import socket
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tflm_sparsesep.converters.errors import ConfigError, ToolMissingError
from tflm_sparsesep.runtime.quiet import quiet

DEBIAN_FASHION_MNIST = Path("/usr/share/datasets/fashion-mnist")

_FILES = (
    "train-images-idx3-ubyte.gz",
    "train-labels-idx1-ubyte.gz",
    "t10k-images-idx3-ubyte.gz",
    "t10k-labels-idx1-ubyte.gz",
)
_NETWORK_TIMEOUT_SECONDS = 10.0
_DIGITS_TEST_SAMPLES = 360  # a fifth of 1797


@dataclass(frozen=True)
class Dataset:
    """Inputs float32[samples, ...] and their labels int64[samples].

    Images are [samples, height, width] in 0..1, windows of signals [samples, times, channels].
    name: what it is and where it came from, for people.
    """

    x_train: npt.NDArray[np.float32]
    y_train: npt.NDArray[np.int64]
    x_test: npt.NDArray[np.float32]
    y_test: npt.NDArray[np.int64]
    name: str

    @property
    def classes(self) -> int:
        """Number of classes, labelled 0 to classes - 1."""
        return int(self.y_train.max()) + 1


def load_demo_dataset(data_dir: Path | str | None = None) -> Dataset:
    """Fashion-MNIST where it can be had, else scikit-learn's digits; `name` says which.

    Raises:
        ConfigError: `data_dir` is given and does not hold Fashion-MNIST.
        ToolMissingError: no data set can be had.
    """
    try:
        return fashion_mnist(data_dir)
    except ToolMissingError:
        return digits()


def fashion_mnist(data_dir: Path | str | None = None) -> Dataset:
    """Fashion-MNIST: 60,000 training and 10,000 test images of 28 x 28, 10 classes.

    Args:
        data_dir: folder with the four .gz files (train-images-idx3-ubyte.gz, ...); by default
            Debian's package dataset-fashion-mnist, then what keras.datasets has or downloads.

    Raises:
        ConfigError: a file in `data_dir` is missing or damaged.
        ToolMissingError: no `data_dir` given, and the data is neither installed nor reachable.
    """
    if data_dir is not None:
        return _from_folder(Path(data_dir), f"Fashion-MNIST ({data_dir})")
    if all((DEBIAN_FASHION_MNIST / name).is_file() for name in _FILES):
        return _from_folder(DEBIAN_FASHION_MNIST, "Fashion-MNIST (Debian package)")
    return _from_keras()


def digits() -> Dataset:
    """scikit-learn's bundled digits: 1,437 training and 360 test images of 8 x 8, 10 classes.

    Raises:
        ToolMissingError: scikit-learn is not installed.
    """
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise ToolMissingError(
            f"no data set: Fashion-MNIST was not found, nor scikit-learn ({error}): "
            "apt-get install dataset-fashion-mnist, or pip install scikit-learn"
        ) from error
    images, labels = load_digits(return_X_y=True)
    # The files are in order of their writers: mixed, so that the test is not on one writer.
    order = np.random.default_rng(0).permutation(len(labels))
    x = (images[order] / 16).astype(np.float32).reshape(-1, 8, 8)
    y = labels[order].astype(np.int64)
    test = _DIGITS_TEST_SAMPLES
    return Dataset(
        x[test:], y[test:], x[:test], y[:test], "scikit-learn digits (no Fashion-MNIST found)"
    )


def _from_folder(folder: Path, name: str) -> Dataset:
    x_train, y_train, x_test, y_test = (_read_idx(folder / file) for file in _FILES)
    for x, y in ((x_train, y_train), (x_test, y_test)):
        if x.ndim != 3 or y.ndim != 1 or len(x) != len(y) or not len(x):
            raise ConfigError(
                f"{folder}: images {x.shape} and labels {y.shape} do not fit each other; "
                "accepted: as many labels as images"
            )
    return _dataset(x_train, y_train, x_test, y_test, name)


def _from_keras() -> Dataset:
    try:
        with quiet():
            import keras

        with quiet(), _network_timeout(_NETWORK_TIMEOUT_SECONDS):
            (x_train, y_train), (x_test, y_test) = keras.datasets.fashion_mnist.load_data()
    except Exception as error:  # no network, no Keras, a broken download: all the same here
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ToolMissingError(
            f"Fashion-MNIST is not installed and cannot be downloaded ({reason}): "
            "apt-get install dataset-fashion-mnist"
        ) from error
    return _dataset(x_train, y_train, x_test, y_test, "Fashion-MNIST (keras.datasets)")


@contextmanager
def _network_timeout(seconds: float) -> Iterator[None]:
    """keras.datasets has no timeout of its own: a dead network would hang for minutes."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


def _dataset(x_train: Any, y_train: Any, x_test: Any, y_test: Any, name: str) -> Dataset:
    return Dataset(
        _scaled(x_train),
        np.asarray(y_train, np.int64),
        _scaled(x_test),
        np.asarray(y_test, np.int64),
        name,
    )


def _scaled(images: Any) -> npt.NDArray[np.float32]:
    return np.asarray(images, np.float32) / np.float32(255)


def _read_idx(path: Path) -> npt.NDArray[np.uint8]:
    """Read an unsigned-byte IDX file: 0, 0, 8, rank, big-endian int32 sizes, then bytes."""
    try:
        data = gzip.decompress(path.read_bytes())
    except (OSError, EOFError, zlib.error) as error:
        raise ConfigError(
            f"{path}: cannot be read ({error}); accepted: a gzipped IDX file of Fashion-MNIST"
        ) from error
    rank = data[3] if len(data) >= 4 else 0
    end = 4 + 4 * rank
    if data[:3] != b"\0\0\x08" or len(data) < end:
        raise ConfigError(f"{path}: not an IDX file of unsigned bytes")
    shape = struct.unpack(f">{rank}I", data[4:end])
    if len(data) - end != int(np.prod(shape, dtype=np.int64)):
        raise ConfigError(f"{path}: {len(data) - end} bytes of values, its header says {shape}")
    return np.frombuffer(data, np.uint8, offset=end).reshape(shape)
