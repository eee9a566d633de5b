"""Reading Fashion-MNIST files, and the messages when they are not there."""

from __future__ import annotations

import gzip
import os
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from tflm_sparsesep import datasets
from tflm_sparsesep.converters.errors import ConfigError

FILES = (
    "train-images-idx3-ubyte.gz",
    "train-labels-idx1-ubyte.gz",
    "t10k-images-idx3-ubyte.gz",
    "t10k-labels-idx1-ubyte.gz",
)


def idx(array: npt.NDArray[Any]) -> bytes:
    header = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape)
    return header + array.astype(np.uint8).tobytes()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Six training and two test images of 3 x 2."""
    images, labels = np.arange(48).reshape(8, 3, 2) * 5, np.arange(8) % 3
    arrays = (images[:6], labels[:6], images[6:], labels[6:])
    for name, array in zip(FILES, arrays, strict=True):
        (tmp_path / name).write_bytes(gzip.compress(idx(array)))
    return tmp_path


def test_reads_a_folder(folder: Path) -> None:
    data = datasets.load_demo_dataset(folder)
    assert data.x_train.shape == (6, 3, 2)
    assert data.x_train.dtype == data.x_test.dtype == np.float32
    np.testing.assert_array_equal(data.y_test, [0, 1])
    np.testing.assert_allclose(data.x_test[1, 2, 1], 47 * 5 / 255, rtol=1e-6)
    assert data.classes == 3
    assert data.name == f"Fashion-MNIST ({folder})"


def test_debian_package_is_the_default() -> None:
    if not datasets.DEBIAN_FASHION_MNIST.is_dir():
        pytest.skip("no Fashion-MNIST: sudo apt install dataset-fashion-mnist")
    data = datasets.load_demo_dataset()
    assert data.x_train.shape == (60_000, 28, 28)
    assert data.x_test.shape == (10_000, 28, 28)
    assert data.classes == 10
    assert data.x_train.min() == 0
    assert data.x_train.max() == 1
    assert "Debian" in data.name


def test_digits_are_named_as_what_they_are() -> None:
    pytest.importorskip("sklearn", reason="no scikit-learn: pip install scikit-learn")
    data = datasets.digits()
    assert data.x_train.shape == (1437, 8, 8)
    assert data.x_test.shape == (360, 8, 8)
    assert data.x_train.max() == 1
    assert data.classes == 10
    assert set(data.y_test) == set(range(10))
    assert "digits" in data.name


def damage_truncate(data: bytes) -> bytes:
    return data[:-9]


def damage_not_gzip(data: bytes) -> bytes:
    return b"hello"


def damage_magic(data: bytes) -> bytes:
    return gzip.compress(b"\1" + gzip.decompress(data)[1:])


def damage_short_values(data: bytes) -> bytes:
    return gzip.compress(gzip.decompress(data)[:-1])


def damage_empty(data: bytes) -> bytes:
    return gzip.compress(b"")


@pytest.mark.parametrize(
    "damage",
    [damage_truncate, damage_not_gzip, damage_magic, damage_short_values, damage_empty],
)
def test_a_damaged_file_is_named(folder: Path, damage: Callable[[bytes], bytes]) -> None:
    path = folder / FILES[0]
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(ConfigError, match=FILES[0]) as error:
        datasets.load_demo_dataset(folder)
    assert "\n" not in str(error.value)


def test_a_missing_file_is_named(folder: Path) -> None:
    (folder / FILES[3]).unlink()
    with pytest.raises(ConfigError, match=FILES[3]):
        datasets.fashion_mnist(folder)


def test_labels_must_match_images(folder: Path) -> None:
    (folder / FILES[1]).write_bytes(gzip.compress(idx(np.zeros(5))))
    with pytest.raises(ConfigError, match="as many labels as images"):
        datasets.fashion_mnist(folder)


WITHOUT_DISK_AND_NETWORK = """
from pathlib import Path
from tflm_sparsesep import datasets
from tflm_sparsesep.converters.errors import ToolMissingError
datasets.DEBIAN_FASHION_MNIST = Path("absent")
try:
    datasets.fashion_mnist()
except ToolMissingError as error:
    print(error)
print(datasets.load_demo_dataset().name)
"""


@pytest.mark.slow
def test_without_disk_and_network(tmp_path: Path) -> None:
    pytest.importorskip("sklearn", reason="no scikit-learn: pip install scikit-learn")
    # A proxy that refuses connections is a network that is not there.
    dead = "http://127.0.0.1:9"
    environment = os.environ | {"KERAS_HOME": str(tmp_path), "no_proxy": "", "NO_PROXY": ""}
    environment |= {"http_proxy": dead, "https_proxy": dead, "HTTPS_PROXY": dead}
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_DISK_AND_NETWORK],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    *_, error, name = done.stdout.strip().splitlines()
    assert error.endswith("apt-get install dataset-fashion-mnist")
    assert name == "scikit-learn digits (no Fashion-MNIST found)"
