"""Read and write files: errors are one line, and no file is left incomplete."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import stat
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tflm_sparsesep.converters.errors import ConfigError, ModelError
from tflm_sparsesep.converters.tflite.verifier import FILE_IDENTIFIER
from tflm_sparsesep.runtime.representative_dataset import Array, Samples

_HEAD_BYTES = 8
"""Of a .tflite file, up to the end of its identifier."""


def read_model(path: Path) -> bytes:
    """Return the contents of a .tflite file.

    Of what is neither a regular file nor a flatbuffer, such as a device without an end, only the
    first bytes are read: they are enough to refuse it.

    Raises:
        ModelError: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD_BYTES)
            endless = not stat.S_ISREG(os.fstat(file.fileno()).st_mode)
            return head if endless and head[4:] != FILE_IDENTIFIER else head + file.read()
    except OSError as error:
        raise ModelError(f"{path}: cannot be read: {error.strerror}") from None


def read_regular(path: Path) -> bytes:
    """Return the contents of a regular file, and never wait for a pipe or read a device.

    Raises:
        OSError: it is none, or cannot be read.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "not a regular file", str(path))
        return file.read()


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
        # Of any file without its mark NumPy says that it may be a pickle, and how to run that.
        reason = "" if "pickle" in str(error) else f": {error}"
        raise ConfigError(f"{path}: not a .npy or .npz file of numbers{reason}") from None


def check_writable(*paths: Path) -> None:
    """Check early, before time is spent on work, that `write_all` will succeed.

    Raises:
        ConfigError: a file cannot be written, or two paths name the same one.
    """
    files = [path.resolve() for path in paths if not is_special(path)]
    if len(set(files)) < len(files):
        raise ConfigError(f"{', '.join(map(str, paths))}: one file, accepted: different ones")
    for path in paths:
        _check_writable(path)


def _check_writable(path: Path) -> None:
    folder = path.resolve().parent
    if path.is_dir():
        raise ConfigError(f"{path}: cannot be written: it is a folder")
    if not folder.is_dir():
        raise ConfigError(f"{path}: cannot be written: folder {folder} does not exist")
    if is_special(path):
        if not os.access(path, os.W_OK):
            raise ConfigError(f"{path}: cannot be written: no permission")
    elif not os.access(folder, os.W_OK):
        raise ConfigError(f"{path}: cannot be written: no permission in folder {folder}")


def write_atomically(path: Path, data: bytes) -> None:
    """Write one file, as `write_all` does."""
    write_all([(path, data)])


def write_all(contents: Sequence[tuple[Path, bytes]]) -> None:
    """Write files under temporary names and rename them: all of them, whole, or none.

    A symbolic link stays, and the file that it names is written. Devices and pipes are written
    into: they cannot be renamed, and what has entered them cannot be taken back.

    Raises:
        ConfigError: a file cannot be written; previous files then stay.
    """
    check_writable(*(path for path, _ in contents))
    with contextlib.ExitStack() as cleanup, contextlib.ExitStack() as undo:
        temporaries = []
        for path, data in contents:
            if not is_special(path):
                with _one_line(path):
                    temporaries.append((path, _temporary(path.resolve(), data, cleanup)))
        for path, data in contents:
            if is_special(path):
                with _one_line(path):
                    _write_into(path, data)
        for path, temporary in temporaries:
            with _one_line(path):
                if len(temporaries) > 1:
                    _keep_previous(path.resolve(), cleanup, undo)
                temporary.replace(path.resolve())
        undo.pop_all()


def is_special(path: Path) -> bool:
    """Return True for devices, pipes and sockets; False for files, folders and free names."""
    return path.exists() and not path.is_file() and not path.is_dir()


@contextlib.contextmanager
def _one_line(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written: {error.strerror}") from None


def _temporary(path: Path, data: bytes, cleanup: contextlib.ExitStack) -> Path:
    """Write a file beside `path`; `cleanup` removes what has not been renamed."""
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".", delete=False) as file:
        temporary = Path(file.name)
        cleanup.callback(temporary.unlink, missing_ok=True)
        file.write(data)
    temporary.chmod(0o666 & ~_umask())
    return temporary


def _keep_previous(path: Path, cleanup: contextlib.ExitStack, undo: contextlib.ExitStack) -> None:
    """Let `undo` bring back what is at `path`, or its absence."""
    if not path.exists():
        undo.callback(path.unlink, missing_ok=True)
        return
    previous = _temporary(path, path.read_bytes(), cleanup)
    shutil.copystat(path, previous)
    undo.callback(previous.replace, path)


def _write_into(path: Path, data: bytes) -> None:
    """Write into a device or a pipe. A pipe that no process reads is an error, not a wait."""
    descriptor = os.open(path, os.O_WRONLY | os.O_NONBLOCK)
    with os.fdopen(descriptor, "wb") as file:
        os.set_blocking(descriptor, True)
        file.write(data)


def _umask() -> int:
    """Return the process's umask, which temporary files ignore."""
    mask = os.umask(0)
    os.umask(mask)
    return mask
