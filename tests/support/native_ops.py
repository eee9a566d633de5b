"""Operators in the op core on this machine, through ctypes (`custom_ops/host/host_port.h`)."""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from tflm_sparsesep.converters import native
from tflm_sparsesep.converters.errors import DeviceError
from tflm_sparsesep.converters.op_names import (
    SEPARABLE_CONV_2D,
    SPARSE_CONV_2D,
    SPARSE_FULLY_CONNECTED,
)

Rounding = Literal["double", "single"]
Array = npt.NDArray[Any]

# TFLM requantizes with two roundings, LiteRT with one; the op core is built for both.
_LIBRARIES = {
    "double": "libsparsesep_host.so",
    "single": "libsparsesep_host_single_rounding.so",
}
# SparsesepTensorType of custom_ops/port.h.
_TENSOR_TYPES = {"int8": 1, "uint8": 2, "float32": 3}

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


class _Tensor(ctypes.Structure):
    """SparsesepTensor of custom_ops/port.h."""

    _fields_ = (
        ("data", ctypes.c_void_p),
        ("dims", ctypes.POINTER(ctypes.c_int32)),
        ("rank", ctypes.c_int32),
        ("type", ctypes.c_int),
    )


class Run(NamedTuple):
    """The outputs, and the bytes of scratch that Prepare requested."""

    outputs: Array
    scratch_bytes: int


def sparse_fully_connected(
    options: bytes,
    blob: bytes,
    inputs: Array,
    rows: int,
    *,
    windows: int | None = None,
    rounding: Rounding = "double",
    offset: int = 0,
) -> Array:
    """Outputs [batch, rows] of inputs [batch, cols], or [length, channels] with `windows`.

    `windows` is their number if the options hold a step between windows of `inputs`. `offset` is
    the address of the blob, modulo 16.
    """
    batch = len(inputs) if windows is None else windows
    # As many dimensions as the operator sees: any number of elements.
    flat = inputs.reshape(-1)
    shape = (batch, rows)
    return _run(SPARSE_FULLY_CONNECTED, options, blob, flat, shape, rounding, offset=offset).outputs


def separable_conv_2d(
    blob: bytes, inputs: Array, output_shape: tuple[int, ...], *, rounding: Rounding = "double"
) -> Array:
    """Outputs of inputs [batch, height, width, channels]."""
    return _run(SEPARABLE_CONV_2D, b"", blob, inputs, output_shape, rounding).outputs


def sparse_conv_2d(
    blob: bytes,
    inputs: Array,
    output_shape: tuple[int, ...],
    *,
    residual: Array | None = None,
    rounding: Rounding = "double",
) -> Run:
    """Outputs of inputs [batch, height, width, channels], and the scratch."""
    return _run(SPARSE_CONV_2D, b"", blob, inputs, output_shape, rounding, residual=residual)


def paged_fully_connected(
    options: bytes,
    weights: bytes,
    fetch: Callable[[int, int], bytes | None],
    inputs: Array,
    rows: int,
    *,
    overlaps: bool = False,
    is_trusted: bool = False,
    evals: int = 1,
) -> Run:
    """Run SPARSE_FULLY_CONNECTED with a table of contents, or with packed weights.

    `fetch` takes an offset and a size, and returns that many bytes of the external memory, or None
    for a read error. With `overlaps`, transfers end only when the operator waits for them.
    """
    memory, pending = _external_memory(fetch, overlaps=overlaps, is_trusted=is_trusted)
    flat, shape = inputs.reshape(-1), (len(inputs), rows)
    try:
        return _run(
            SPARSE_FULLY_CONNECTED, options, weights, flat, shape, memory=memory, evals=evals
        )
    finally:
        assert not pending, "the operator returned during a transfer"


def paged_sparse_conv(
    blob: bytes,
    fetch: Callable[[int, int], bytes | None],
    inputs: Array,
    output_shape: tuple[int, ...],
    *,
    overlaps: bool = False,
    is_trusted: bool = False,
    evals: int = 1,
    residual: Array | None = None,
) -> Run:
    """Run SPARSE_CONV_2D with a table of contents, or with packed weights."""
    memory, pending = _external_memory(fetch, overlaps=overlaps, is_trusted=is_trusted)
    try:
        return _run(
            *(SPARSE_CONV_2D, b"", blob, inputs, output_shape),
            memory=memory,
            evals=evals,
            residual=residual,
        )
    finally:
        assert not pending, "the operator returned during a transfer"


@functools.cache
def _library(rounding: Rounding) -> ctypes.CDLL:
    library = ctypes.CDLL(str(native.library_path(_LIBRARIES[rounding])))
    pointer, size = ctypes.c_void_p, ctypes.c_size_t
    library.sparsesep_host_run.argtypes = [
        *(ctypes.c_char_p, ctypes.c_char_p, size),
        *(pointer, pointer, ctypes.c_int32, pointer),
    ]
    library.sparsesep_host_status_message.restype = ctypes.c_char_p
    return library


def _run(
    op_name: str,
    options: bytes,
    weights: bytes,
    inputs: Array,
    output_shape: tuple[int, ...],
    rounding: Rounding = "double",
    *,
    memory: _ExternalMemory | None = None,
    evals: int = 1,
    offset: int = 0,
    residual: Array | None = None,
) -> Run:
    """Run one operator; DeviceError with the reason if it refuses."""
    library = _library(rounding)
    inputs = np.ascontiguousarray(inputs)
    outputs = np.zeros(output_shape, inputs.dtype)
    arrays = (inputs, native.aligned_copy(bytes(offset) + weights)[offset:], outputs)
    # By SparsesepTensorSlot.
    tensors = (_Tensor * (len(arrays) + 1))(*map(_tensor, arrays))
    if residual is not None:
        residual = np.ascontiguousarray(residual)
        tensors[len(arrays)] = _tensor(residual)
    scratch = ctypes.c_size_t()
    status = library.sparsesep_host_run(
        op_name.encode(),
        options,
        len(options),
        tensors,
        None if memory is None else ctypes.addressof(memory),
        evals,
        ctypes.addressof(scratch),
    )
    if status != 0:
        message: bytes = library.sparsesep_host_status_message(status)
        raise DeviceError(f"{op_name} refused: {message.decode()}")
    return Run(outputs, scratch.value)


def _tensor(array: Array) -> _Tensor:
    dims = (ctypes.c_int32 * array.ndim)(*array.shape)
    kind = _TENSOR_TYPES.get(array.dtype.name, 0)
    return _Tensor(array.ctypes.data, dims, array.ndim, kind)


def _external_memory(
    fetch: Callable[[int, int], bytes | None], *, overlaps: bool, is_trusted: bool
) -> tuple[_ExternalMemory, list[tuple[int, bytes | None]]]:
    """The memory that an operator reads with `fetch`, and its list of open transfers."""
    pending: list[tuple[int, bytes | None]] = []

    def deliver(_: int | None) -> bool:
        destination, data = pending.pop()
        if data is None:
            return False
        ctypes.memmove(destination, data, len(data))
        return True

    def start(_: int | None, offset: int, size: int, destination: int) -> bool:
        assert not pending, "the operator fetched during a transfer"
        data = fetch(offset, size)
        assert data is None or len(data) == size
        pending.append((destination, data))
        return overlaps or deliver(None)

    wait = _Wait(deliver) if overlaps else _Wait()
    return _ExternalMemory(None, _Fetch(start), wait, is_trusted), pending
