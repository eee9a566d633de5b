"""Read and write files: errors are one line, and no file is left incomplete."""

from __future__ import annotations

import os
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from tflm_sparsesep.converters.errors import ConfigError, ModelError
from tflm_sparsesep.runtime.representative_dataset import Array, Samples


def read_model(path: Path) -> bytes:
    """Return the contents of a .tflite file.

    Raises:
        ModelError: it cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise ModelError(f"{path}: cannot be read: {error.strerror}") from None


def read_array(path: Path) -> Array:
    """Return the array in a .npy file.

    Raises:
        ConfigError: the file cannot be read or holds no array.
    """
    array = _load(path)
    if not isinstance(array, np.ndarray):
        raise ConfigError(f"{path}: holds several arrays (.npz), accepted: one array (.npy)")
    return array


def read_samples(path: Path) -> Samples:
    """Return the array in a .npy file, or those in a .npz file by the name of the model's input.

    Raises:
        ConfigError: the file cannot be read or holds no arrays.
    """
    found = _load(path)
    return found if isinstance(found, np.ndarray) else {name: found[name] for name in found.files}


def _load(path: Path) -> Any:
    try:
        return np.load(path, allow_pickle=False)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror or error}") from None
    except (ValueError, EOFError, zipfile.BadZipFile) as error:
        raise ConfigError(f"{path}: not a .npy file of numbers: {error}") from None


def check_writable(path: Path) -> None:
    """Check early, before time is spent on work, that `write_atomically` will succeed.

    Raises:
        ConfigError: the file cannot be written.
    """
    folder = path.parent
    if path.is_dir():
        raise ConfigError(f"{path}: cannot be written: it is a folder")
    if not folder.is_dir():
        raise ConfigError(f"{path}: cannot be written: folder {folder} does not exist")
    if not os.access(folder, os.W_OK):
        raise ConfigError(f"{path}: cannot be written: no permission in folder {folder}")


def write_atomically(path: Path, data: bytes) -> None:
    """Write a file under a temporary name and rename it: whole or not at all.

    Raises:
        ConfigError: the file cannot be written; a previous file then stays.
    """
    check_writable(path)
    temporary = None
    try:
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".", delete=False) as file:
            temporary = Path(file.name)
            file.write(data)
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(path)
    except OSError as error:
        if temporary is not None:
            temporary.unlink(missing_ok=True)
        raise ConfigError(f"{path}: cannot be written: {error.strerror}") from None


def _umask() -> int:
    """Return the process's umask, which temporary files ignore."""
    mask = os.umask(0)
    os.umask(mask)
    return mask
