"""The C kernels and the op core on this machine, through ctypes (the only file that does so)."""

from __future__ import annotations

import ctypes
import functools
import importlib.resources
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from tflm_sparsesep.converters.blob.format import HEADER
from tflm_sparsesep.converters.blob.sparse_conv_format import HEADER as CONV_HEADER
from tflm_sparsesep.converters.errors import (
    ConfigError,
    DeviceError,
    ModelError,
    ToolMissingError,
)
from tflm_sparsesep.converters.targets import get_target

_OK = 0

# SparsesepTensorType of custom_ops/port.h.
_TENSOR_OTHER = 0
_TENSOR_TYPES = {"int8": 1, "float32": 3}

# TFLM requantises with two roundings, LiteRT with one; the op core is built for either.
_LIBRARIES = {
    "double": "libsparsesep_host.so",
    "single": "libsparsesep_host_single_rounding.so",
}

_Fetch = ctypes.CFUNCTYPE(
    ctypes.c_bool, ctypes.c_void_p, ctypes.c_uint32, ctypes.c_uint32, ctypes.c_void_p
)
_Wait = ctypes.CFUNCTYPE(ctypes.c_bool, ctypes.c_void_p)


class _ExternalMemory(ctypes.Structure):
    """SparsesepExternalMemory of custom_ops/external_memory.h."""

    _fields_ = (
        ("context", ctypes.c_void_p),
        ("fetch", _Fetch),
        ("wait", _Wait),
        ("is_trusted", ctypes.c_bool),
    )


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
    library.sparsesep_host_paged_fully_connected.argtypes = [
        *(ctypes.c_char_p, size),
        *(pointer, size),
        ctypes.POINTER(_ExternalMemory),
        ctypes.c_int,
        *(pointer, ctypes.c_int32),
        *(pointer, ctypes.c_int32),
        *(ctypes.c_int32, ctypes.c_int32),
        ctypes.POINTER(size),
    ]
    library.sparsesep_host_validate.argtypes = [ctypes.c_char_p, size]
    library.sparsesep_host_variant_name.argtypes = [pointer]
    library.sparsesep_host_variant_name.restype = ctypes.c_char_p
    library.sparsesep_host_scratch_bytes.argtypes = [pointer, ctypes.c_int32]
    library.sparsesep_host_scratch_bytes.restype = ctypes.c_uint32
    library.sparsesep_device_variant_name.argtypes = [ctypes.c_char_p, pointer]
    library.sparsesep_device_variant_name.restype = ctypes.c_char_p
    library.sparsesep_device_scratch_bytes.argtypes = [ctypes.c_char_p, pointer, ctypes.c_int32]
    library.sparsesep_device_scratch_bytes.restype = ctypes.c_uint32
    library.sparsesep_host_status_message.restype = ctypes.c_char_p
    library.sparsesep_host_validate_separable_conv.argtypes = [ctypes.c_char_p, size]
    convolution: list[Any] = [
        *(pointer, size),
        ctypes.c_int,
        *(pointer, pointer),
        *(pointer, pointer),
    ]
    library.sparsesep_host_separable_conv_2d.argtypes = convolution
    library.sparsesep_host_validate_sparse_conv.argtypes = [ctypes.c_char_p, size]
    library.sparsesep_host_sparse_conv_2d.argtypes = [*convolution, ctypes.POINTER(size)]
    library.sparsesep_device_conv_scratch_bytes.argtypes = [
        *(ctypes.c_char_p, pointer),
        *(ctypes.c_int32, ctypes.c_int32),
    ]
    library.sparsesep_device_conv_scratch_bytes.restype = ctypes.c_uint64
    return library


def _message(status: int) -> str:
    text: bytes = _library().sparsesep_host_status_message(status)
    return text.decode()


def validate(blob: bytes) -> str | None:
    """None where the device would accept `blob`, else the reason why not."""
    status = _library().sparsesep_host_validate(blob, len(blob))
    return None if status == _OK else _message(status)


def variant_name(blob: bytes, *, target: str = "host", is_header: bool = False) -> str | None:
    """The kernel that runs a blob on a target, or None where the target has none for its layout.

    `is_header`: `blob` is the header alone, which says all that this needs. Raises ConfigError for
    an unknown target, ModelError for a blob that a device would refuse.
    """
    isa = _isa(target)
    aligned = _aligned_copy(blob) if is_header else _valid(blob)
    name: bytes | None
    if isa is None:
        name = _library().sparsesep_host_variant_name(aligned.ctypes.data)
    else:
        name = _library().sparsesep_device_variant_name(isa, aligned.ctypes.data)
    return None if name is None else name.decode()


def scratch_bytes(
    blob: bytes, batch: int = 1, *, target: str = "host", is_header: bool = False
) -> int:
    """Bytes of arena that the kernel of a blob asks for, for the time of one inference.

    `batch` is the number of vectors per inference, `is_header` as for `variant_name`. This is the
    query that the kernel's Prepare makes on the device. Raises ConfigError for an unknown target,
    a batch below 1, or a target without a kernel for the blob's layout, ModelError for a blob that
    a device would refuse.

    Example:
        >>> scratch_bytes(blob, target="cortex-m4")  # doctest: +SKIP
        1840
    """
    if not 1 <= batch < 2**31:
        raise ConfigError(f"batch is {batch}, accepted: 1 to 2147483647")
    if variant_name(blob, target=target, is_header=is_header) is None:
        raise ConfigError(f"{target} has no kernel for this layout; see layouts_for({target!r})")
    isa = _isa(target)
    aligned = _aligned_copy(blob)
    if isa is None:
        return int(_library().sparsesep_host_scratch_bytes(aligned.ctypes.data, batch))
    return int(_library().sparsesep_device_scratch_bytes(isa, aligned.ctypes.data, batch))


def _isa(target: str) -> bytes | None:
    """What custom_ops/host/device_variants.h calls the instruction set of a target; None: ours."""
    core = get_target(target)
    if not core.gcc_flags:
        return None
    if core.has_mve:
        return b"mve"
    if core.has_dsp:
        return b"dsp"
    return b"v7m" if core.unaligned_access else b"v6m"


def _valid(blob: bytes) -> npt.NDArray[np.uint8]:
    """`blob` where the kernels may read it."""
    reason = validate(blob)
    if reason is not None:
        raise ModelError(reason)
    return _aligned_copy(blob)


def sparse_fully_connected(
    options: bytes,
    blob: bytes,
    inputs: npt.NDArray[Any],
    rows: int,
    *,
    windows: int | None = None,
    rounding: Literal["double", "single"] = "double",
) -> npt.NDArray[Any]:
    """Runs one layer through the op core: inputs [batch, cols] -> [batch, rows].

    int8 or float32, as the blob. `windows`: the batch of the outputs where options with a step
    say that vectors are windows of the inputs [length, channels]. `rounding` is that of
    requantisation: "double" as TFLM and CMSIS-NN, "single" as LiteRT. Raises DeviceError with the
    core's reason where Prepare refuses.
    """
    batch = len(inputs) if windows is None else windows
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
        inputs.size,
        outputs.ctypes.data,
        rows,
        batch,
    )
    if status != _OK:
        raise DeviceError(f"SPARSE_FULLY_CONNECTED refused: {_message(status)}")
    return outputs


@dataclass(frozen=True)
class PagedRun:
    """outputs [batch, rows], and the bytes of scratch that Prepare asked for."""

    outputs: npt.NDArray[Any]
    scratch_bytes: int


def paged_fully_connected(
    options: bytes,
    weights: bytes,
    fetch: Callable[[int, int], bytes | None],
    inputs: npt.NDArray[Any],
    rows: int,
    *,
    overlaps: bool = False,
    is_trusted: bool = False,
    evals: int = 1,
) -> PagedRun:
    """Runs one layer whose weights may be a table of contents, `evals` times on the same inputs.

    `fetch(offset, bytes)` stands for the application's: it returns so many bytes of the external
    memory, or None where they cannot be read. `overlaps`: what it returns arrives only when the
    operator waits for it. Errors as for `sparse_fully_connected`, of Eval, too.
    """
    pending: list[tuple[int, bytes | None]] = []

    def deliver(_: int | None) -> bool:
        destination, data = pending.pop()
        if data is None:
            return False
        ctypes.memmove(destination, data, len(data))
        return True

    def start(_: int | None, offset: int, size: int, destination: int) -> bool:
        assert not pending, "a transfer is under way"
        data = fetch(offset, size)
        assert data is None or len(data) == size
        pending.append((destination, data))
        return overlaps or deliver(None)

    memory = _ExternalMemory(
        None, _Fetch(start), _Wait(deliver) if overlaps else _Wait(), is_trusted
    )
    batch = len(inputs)
    inputs = np.ascontiguousarray(inputs)
    outputs = np.zeros((batch, rows), inputs.dtype)
    aligned = _aligned_copy(weights)
    scratch = ctypes.c_size_t()
    status = _library().sparsesep_host_paged_fully_connected(
        options,
        len(options),
        aligned.ctypes.data,
        len(weights),
        ctypes.byref(memory),
        _TENSOR_TYPES.get(inputs.dtype.name, _TENSOR_OTHER),
        inputs.ctypes.data,
        inputs.size,
        outputs.ctypes.data,
        rows,
        batch,
        evals,
        ctypes.byref(scratch),
    )
    assert not pending, "a transfer goes on behind the operator's back"
    if status != _OK:
        raise DeviceError(f"SPARSE_FULLY_CONNECTED refused: {_message(status)}")
    return PagedRun(outputs, scratch.value)


def validate_separable_conv(blob: bytes) -> str | None:
    """None where the device would accept `blob` as SEPARABLE_CONV_2D, else the reason why not."""
    status = _library().sparsesep_host_validate_separable_conv(blob, len(blob))
    return None if status == _OK else _message(status)


def separable_conv_2d(
    blob: bytes,
    inputs: npt.NDArray[Any],
    output_shape: tuple[int, ...],
    *,
    rounding: Literal["double", "single"] = "double",
) -> npt.NDArray[Any]:
    """Runs one SEPARABLE_CONV_2D: inputs [batch, height, width, channels] to the same of its own.

    `rounding` and errors as for `sparse_fully_connected`.
    """
    inputs = np.ascontiguousarray(inputs)
    outputs = np.zeros(output_shape, inputs.dtype)
    aligned = _aligned_copy(blob)
    shapes = [np.array(array.shape, np.int32) for array in (inputs, outputs)]
    status = _library(rounding).sparsesep_host_separable_conv_2d(
        aligned.ctypes.data,
        len(blob),
        _TENSOR_TYPES.get(inputs.dtype.name, _TENSOR_OTHER),
        inputs.ctypes.data,
        shapes[0].ctypes.data,
        outputs.ctypes.data,
        shapes[1].ctypes.data,
    )
    if status != _OK:
        raise DeviceError(f"SEPARABLE_CONV_2D refused: {_message(status)}")
    return outputs


def validate_sparse_conv(blob: bytes) -> str | None:
    """None where the device would accept `blob` as SPARSE_CONV_2D, else the reason why not."""
    status = _library().sparsesep_host_validate_sparse_conv(blob, len(blob))
    return None if status == _OK else _message(status)


@dataclass(frozen=True)
class ConvRun:
    """outputs [batch, height, width, channels], and the bytes of scratch that Prepare asked for."""

    outputs: npt.NDArray[Any]
    scratch_bytes: int


def sparse_conv_2d(
    blob: bytes,
    inputs: npt.NDArray[Any],
    output_shape: tuple[int, ...],
    *,
    rounding: Literal["double", "single"] = "double",
) -> ConvRun:
    """Run one SPARSE_CONV_2D on inputs [batch, height, width, channels].

    `rounding` and errors as for `sparse_fully_connected`.
    """
    inputs = np.ascontiguousarray(inputs)
    outputs = np.zeros(output_shape, inputs.dtype)
    aligned = _aligned_copy(blob)
    shapes = [np.array(array.shape, np.int32) for array in (inputs, outputs)]
    scratch = ctypes.c_size_t()
    status = _library(rounding).sparsesep_host_sparse_conv_2d(
        aligned.ctypes.data,
        len(blob),
        _TENSOR_TYPES.get(inputs.dtype.name, _TENSOR_OTHER),
        inputs.ctypes.data,
        shapes[0].ctypes.data,
        outputs.ctypes.data,
        shapes[1].ctypes.data,
        ctypes.byref(scratch),
    )
    if status != _OK:
        raise DeviceError(f"SPARSE_CONV_2D refused: {_message(status)}")
    return ConvRun(outputs, scratch.value)


def conv_scratch_bytes(blob: bytes, height: int, width: int, *, target: str) -> int:
    """Return the bytes of arena that a SPARSE_CONV_2D asks for, for the time of one inference.

    0 where it asks for none. Raises ConfigError for an unknown target or one without a kernel for
    the layout, ModelError for a blob that a device would refuse.
    """
    reason = validate_sparse_conv(blob)
    if reason is not None:
        raise ModelError(reason)
    isa = _isa(target)
    if variant_name(blob[CONV_HEADER.itemsize :], target=target) is None:
        raise ConfigError(f"{target} has no kernel for this layout; see layouts_for({target!r})")
    aligned = _aligned_copy(blob)
    found = _library().sparsesep_device_conv_scratch_bytes(isa, aligned.ctypes.data, height, width)
    return int(found)


def _aligned_copy(blob: bytes) -> npt.NDArray[np.uint8]:
    """`blob` at a multiple of 16, as a model file holds it."""
    room = np.zeros(len(blob) + HEADER.itemsize, np.uint8)
    start = -room.ctypes.data % 16
    room[start : start + len(blob)] = np.frombuffer(blob, np.uint8)
    return room[start : start + len(blob)]
