"""The C kernels and the op core on this machine, through ctypes (the only file that does so)."""

from __future__ import annotations

import ctypes
import functools
import importlib.resources
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from tflm_sparsesep.converters.errors import DeviceError, ToolMissingError
from tflm_sparsesep.converters.packed_format import HEADER

_OK = 0

# SparsesepTensorType of custom_ops/port.h.
_TENSOR_OTHER = 0
_TENSOR_TYPES = {"int8": 1, "float32": 3}

# TFLM requantises with two roundings, LiteRT with one; the op core is built for either.
_LIBRARIES = {
    "double": "libsparsesep_host.so",
    "single": "libsparsesep_host_single_rounding.so",
}


def library_path(name: str) -> Path:
    """Path of a shared library that the build has installed, e.g. `libsparsesep_host.so`.

    Raises ToolMissingError where the package was not built.
    """
    path = importlib.resources.files("tflm_sparsesep") / "native" / name
    if not path.is_file():
        raise ToolMissingError(
            f"native library {name} is not built; install the package: pip install ."
        )
    return Path(str(path))


@functools.cache
def _library(rounding: str = "double") -> ctypes.CDLL:
    library = ctypes.CDLL(str(library_path(_LIBRARIES[rounding])))
    pointer, size = ctypes.c_void_p, ctypes.c_size_t
    library.sparsesep_host_sparse_fully_connected.argtypes = [
        *(ctypes.c_char_p, size),
        *(pointer, size),
        ctypes.c_int,
        *(pointer, ctypes.c_int32),
        *(pointer, ctypes.c_int32),
        ctypes.c_int32,
    ]
    library.sparsesep_host_validate.argtypes = [ctypes.c_char_p, size]
    library.sparsesep_host_variant_name.argtypes = [ctypes.c_char_p]
    library.sparsesep_host_variant_name.restype = ctypes.c_char_p
    library.sparsesep_host_status_message.restype = ctypes.c_char_p
    return library


def _message(status: int) -> str:
    text: bytes = _library().sparsesep_host_status_message(status)
    return text.decode()


def validate(blob: bytes) -> str | None:
    """None where the device would accept `blob`, else the reason why not."""
    status = _library().sparsesep_host_validate(blob, len(blob))
    return None if status == _OK else _message(status)


def variant_name(blob: bytes) -> str | None:
    """The kernel that runs a blob on this machine, or None. `blob` must be valid."""
    name: bytes | None = _library().sparsesep_host_variant_name(blob)
    return None if name is None else name.decode()


def sparse_fully_connected(
    options: bytes,
    blob: bytes,
    inputs: npt.NDArray[Any],
    rows: int,
    *,
    rounding: Literal["double", "single"] = "double",
) -> npt.NDArray[Any]:
    """Runs one layer through the op core: inputs [batch, cols] -> [batch, rows].

    int8 or float32, as the blob. `rounding` is that of requantisation: "double" as TFLM and
    CMSIS-NN, "single" as LiteRT. Raises DeviceError with the core's reason where Prepare refuses.
    """
    batch, cols = inputs.shape
    inputs = np.ascontiguousarray(inputs)
    outputs = np.zeros((batch, rows), inputs.dtype)
    aligned = _aligned_copy(blob)
    status = _library(rounding).sparsesep_host_sparse_fully_connected(
        options,
        len(options),
        aligned.ctypes.data,
        len(blob),
        _TENSOR_TYPES.get(inputs.dtype.name, _TENSOR_OTHER),
        inputs.ctypes.data,
        cols,
        outputs.ctypes.data,
        rows,
        batch,
    )
    if status != _OK:
        raise DeviceError(f"SPARSE_FULLY_CONNECTED refused: {_message(status)}")
    return outputs


def _aligned_copy(blob: bytes) -> npt.NDArray[np.uint8]:
    """`blob` at a multiple of 16, as a model file holds it."""
    room = np.zeros(len(blob) + HEADER.itemsize, np.uint8)
    start = -room.ctypes.data % 16
    room[start : start + len(blob)] = np.frombuffer(blob, np.uint8)
    return room[start : start + len(blob)]
