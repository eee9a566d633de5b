"""The C kernels and the op core on this machine. This is the only module that uses ctypes."""

from __future__ import annotations

import ctypes
import functools
import importlib.resources
import itertools
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tflm_sparsesep.converters.blob.format import HEADER
from tflm_sparsesep.converters.errors import ConfigError, ModelError, ToolMissingError
from tflm_sparsesep.converters.targets import get_target


def library_path(name: str) -> Path:
    """Return the path of a shared library that the build installed, as `libsparsesep_host.so`.

    Raises:
        ToolMissingError: the package was not built.
    """
    path = importlib.resources.files("tflm_sparsesep") / "native" / name
    if not path.is_file():
        raise ToolMissingError(
            f"native library {name} is not built; install the package: pip install ."
        )
    return Path(str(path))


@functools.cache
def _library() -> ctypes.CDLL:
    library = ctypes.CDLL(str(library_path("libsparsesep_host.so")))
    text, pointer, size = ctypes.c_char_p, ctypes.c_void_p, ctypes.c_size_t
    library.sparsesep_host_validate.argtypes = [text, size]
    library.sparsesep_host_validate_separable_conv.argtypes = [text, size]
    library.sparsesep_host_variant_name.argtypes = [text, pointer]
    library.sparsesep_host_variant_name.restype = text
    library.sparsesep_host_scratch_bytes.argtypes = [text, pointer, ctypes.c_int32]
    library.sparsesep_host_scratch_bytes.restype = ctypes.c_uint32
    library.sparsesep_host_layout.argtypes = [size]
    library.sparsesep_host_layout.restype = pointer
    library.sparsesep_host_status_message.restype = text
    return library


def _refusal(status: int) -> str | None:
    """Return the message of a SparsesepStatus; None for SPARSESEP_OK."""
    text: bytes = _library().sparsesep_host_status_message(status)
    return text.decode() if status else None


def validate(blob: bytes) -> str | None:
    """Return the reason why the device rejects `blob`; None if it accepts it."""
    return _refusal(_library().sparsesep_host_validate(blob, len(blob)))


def validate_separable_conv(blob: bytes) -> str | None:
    """Return the reason why SEPARABLE_CONV_2D rejects `blob`; None if it accepts it."""
    return _refusal(_library().sparsesep_host_validate_separable_conv(blob, len(blob)))


def layout_headers() -> list[bytes]:
    """Return the header of an empty blob of each layout in layouts.inc."""
    header = _library().sparsesep_host_layout
    addresses = itertools.takewhile(bool, map(header, itertools.count()))
    return [ctypes.string_at(address, HEADER.itemsize) for address in addresses]


def variant_name(blob: bytes, *, target: str = "host", is_header: bool = False) -> str | None:
    """Return the kernel that runs `blob` on `target`; None if the target has none for its layout.

    Args:
        blob: a blob, or only its header.
        target: a name of `targets.TARGETS`.
        is_header: `blob` is only the header, which is not validated.

    Raises:
        ConfigError: the target is unknown.
        ModelError: a device would reject the blob.
    """
    isa = _isa(target)
    if not is_header and (reason := validate(blob)) is not None:
        raise ModelError(reason)
    name: bytes | None = _library().sparsesep_host_variant_name(isa, aligned_copy(blob).ctypes)
    return None if name is None else name.decode()


def scratch_bytes(
    blob: bytes, batch: int = 1, *, target: str = "host", is_header: bool = False
) -> int:
    """Return the bytes of arena that the kernel of `blob` uses during an inference.

    Prepare makes the same query on the device.

    Args:
        blob: a blob, or only its header.
        batch: input vectors of one inference.
        target: a name of `targets.TARGETS`.
        is_header: `blob` is only the header, which is not validated.

    Raises:
        ConfigError: the target is unknown or has no kernel for the layout, or `batch` is below 1.
        ModelError: a device would reject the blob.

    Example:
        >>> scratch_bytes(blob, target="cortex-m4")  # doctest: +SKIP
        1840
    """
    if not 1 <= batch < 2**31:
        raise ConfigError(f"batch is {batch}, accepted: 1 to 2147483647")
    if variant_name(blob, target=target, is_header=is_header) is None:
        raise ConfigError(f"{target} has no kernel for this layout; see layouts_for({target!r})")
    memory = aligned_copy(blob).ctypes  # keeps the array
    return int(_library().sparsesep_host_scratch_bytes(_isa(target), memory, batch))


def _isa(target: str) -> bytes | None:
    isa = get_target(target).isa
    return None if isa is None else isa.encode()


<<<<<<< HEAD
def _valid(blob: bytes) -> npt.NDArray[np.uint8]:
    """Return an aligned copy of `blob`. Raises ModelError if a device would reject it."""
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
    """Run one SPARSE_FULLY_CONNECTED in the op core and return its outputs [batch, rows].

    Args:
        options: the custom_options of the operator.
        blob: its packed weights.
        inputs: [batch, cols], or [length, channels] with `windows`; of the dtype of the blob.
        rows: output channels.
        windows: the number of windows, if the options hold a step between windows of `inputs`.
        rounding: of requantization: "double" as in TFLM and CMSIS-NN, "single" as in LiteRT.

    Raises:
        DeviceError: Prepare failed; the message holds its reason.
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
        *_tensor(inputs),
        outputs.ctypes.data,
        rows,
        batch,
    )
    if status != _OK:
        raise DeviceError(f"SPARSE_FULLY_CONNECTED refused: {_message(status)}")
    return outputs


@dataclass(frozen=True)
class PagedRun:
    """Outputs [batch, rows], and the bytes of scratch that Prepare requested."""

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
    """Run one SPARSE_FULLY_CONNECTED whose weights may be pages in external memory.

    Args:
        options: the custom_options of the operator.
        weights: the table of contents, or packed weights.
        fetch: takes an offset and a size, and returns that many bytes of the external memory, or
            None for a read error.
        inputs: [batch, cols].
        rows: output channels.
        overlaps: transfers end only when the operator waits for them.
        is_trusted: the operator validates each page completely only in the first Eval.
        evals: how often to run Eval, on the same inputs.

    Raises:
        DeviceError: Prepare or Eval failed; the message holds the reason.
    """
    memory, pending = _external_memory(fetch, overlaps=overlaps, is_trusted=is_trusted)
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
        *_tensor(inputs),
        outputs.ctypes.data,
        rows,
        batch,
        evals,
        ctypes.byref(scratch),
    )
    assert not pending, "the operator returned during a transfer"
    if status != _OK:
        raise DeviceError(f"SPARSE_FULLY_CONNECTED refused: {_message(status)}")
    return PagedRun(outputs, scratch.value)


def _external_memory(
    fetch: Callable[[int, int], bytes | None], *, overlaps: bool, is_trusted: bool
) -> tuple[_ExternalMemory, list[tuple[int, bytes | None]]]:
    """Return the memory that an operator reads with `fetch`, and its list of open transfers."""
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


def validate_separable_conv(blob: bytes) -> str | None:
    """Return the reason why SEPARABLE_CONV_2D rejects `blob`; None if it accepts it."""
    status = _library().sparsesep_host_validate_separable_conv(blob, len(blob))
    return None if status == _OK else _message(status)


def separable_conv_2d(
    blob: bytes,
    inputs: npt.NDArray[Any],
    output_shape: tuple[int, ...],
    *,
    rounding: Literal["double", "single"] = "double",
) -> npt.NDArray[Any]:
    """Run one SEPARABLE_CONV_2D in the op core and return its outputs.

    Args:
        blob: the packed weights of both stages.
        inputs: [batch, height, width, channels].
        output_shape: [batch, height, width, channels].
        rounding: as for `sparse_fully_connected`.

    Raises:
        DeviceError: Prepare failed; the message holds its reason.
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


def _tensor(array: npt.NDArray[Any]) -> tuple[int, int, int]:
    """Return the type, the address and the number of elements of a contiguous array."""
    kind = _TENSOR_TYPES.get(array.dtype.name, _TENSOR_OTHER)
    return kind, array.ctypes.data, array.size


def _aligned_copy(blob: bytes) -> npt.NDArray[np.uint8]:
=======
def aligned_copy(blob: bytes) -> npt.NDArray[np.uint8]:
>>>>>>> refs/heads/slim
    """Return `blob` at an address that is a multiple of 16, as in a model file."""
    room = np.zeros(len(blob) + HEADER.itemsize, np.uint8)
    start = -room.ctypes.data % 16
    room[start : start + len(blob)] = np.frombuffer(blob, np.uint8)
    return room[start : start + len(blob)]
