"""The C kernels and the op core on this machine. This is the only module that uses ctypes."""

from __future__ import annotations

import ctypes
import functools
import importlib.resources
import itertools
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tflm_sparsesep.converters.errors import ConfigError, ModelError, ToolMissingError
from tflm_sparsesep.converters.targets import get_target

_HEADER_BYTES = 64  # sizeof(SparsesepPackedHeader)
_CONV_HEADER_BYTES = 48  # sizeof(SparsesepSparseConv)


def library_path(name: str) -> Path:
    """Return the path of a shared library that the build installed, as `libsparsesep_host.so`.

    Raises ToolMissingError if the package was not built.
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
    library.sparsesep_host_validate_sparse_conv.argtypes = [text, size]
    library.sparsesep_host_conv_scratch_bytes.argtypes = [
        *(text, pointer),
        *(ctypes.c_int32, ctypes.c_int32),
    ]
    library.sparsesep_host_conv_scratch_bytes.restype = ctypes.c_uint64
    library.sparsesep_host_depthwise_variant_name.argtypes = [text, pointer]
    library.sparsesep_host_depthwise_variant_name.restype = text
    library.sparsesep_host_depthwise_scratch_bytes.argtypes = [
        *(text, pointer),
        *(ctypes.c_int32, ctypes.c_int32),
    ]
    library.sparsesep_host_depthwise_scratch_bytes.restype = ctypes.c_uint64
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


def validate_sparse_conv(blob: bytes) -> str | None:
    """Return the reason why SPARSE_CONV_2D rejects `blob`; None if it accepts it."""
    return _refusal(_library().sparsesep_host_validate_sparse_conv(blob, len(blob)))


def layout_headers() -> list[bytes]:
    """Return the header of an empty blob of each layout in layouts.inc."""
    header = _library().sparsesep_host_layout
    addresses = itertools.takewhile(bool, map(header, itertools.count()))
    return [ctypes.string_at(address, _HEADER_BYTES) for address in addresses]


def variant_name(blob: bytes, *, target: str = "host", is_header: bool = False) -> str | None:
    """Return the kernel that runs `blob` on `target`; None if the target has none for its layout.

    With `is_header`, `blob` is only the header, which is not validated.

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

    Prepare makes the same query on the device. `batch` counts input vectors of one inference; other
    arguments are those of `variant_name`.

    Raises:
        ConfigError: the target is unknown or has no kernel for the layout, or `batch` is below 1.
        ModelError: a device would reject the blob.
    """
    if not 1 <= batch < 2**31:
        raise ConfigError(f"batch is {batch}, accepted: 1 to 2147483647")
    if variant_name(blob, target=target, is_header=is_header) is None:
        raise ConfigError(f"{target} has no kernel for this layout; see layouts_for({target!r})")
    memory = aligned_copy(blob).ctypes  # keeps the array
    return int(_library().sparsesep_host_scratch_bytes(_isa(target), memory, batch))


def conv_scratch_bytes(
    blob: bytes, height: int, width: int, *, target: str, is_header: bool = False
) -> int:
    """Return the bytes of arena that a SPARSE_CONV_2D uses during an inference.

    Args:
        blob: a blob of the operator.
        height, width: pixels of its input.
        target: a name of `targets.TARGETS`.
        is_header: `blob` holds only the two headers, which are not validated.

    Raises:
        ConfigError: the target is unknown or has no kernel for the layout.
        ModelError: a device would reject the blob.
    """
    if not is_header and (reason := validate_sparse_conv(blob)) is not None:
        raise ModelError(reason)
    if variant_name(blob[_CONV_HEADER_BYTES:], target=target, is_header=is_header) is None:
        raise ConfigError(f"{target} has no kernel for this layout; see layouts_for({target!r})")
    memory = aligned_copy(blob).ctypes  # keeps the array
    return int(_library().sparsesep_host_conv_scratch_bytes(_isa(target), memory, height, width))


def depthwise_variant_name(blob: bytes, *, target: str) -> str:
    """Return the kernel that runs the depthwise convolution of a blob of SEPARABLE_CONV_2D.

    Raises:
        ConfigError: the target is unknown.
        ModelError: a device would reject the blob.
    """
    memory = _depthwise(blob)
    name: bytes = _library().sparsesep_host_depthwise_variant_name(_isa(target), memory.ctypes)
    return name.decode()


def depthwise_scratch_bytes(blob: bytes, height: int, width: int, *, target: str) -> int:
    """Return the bytes of arena that such a blob uses during an inference.

    Args:
        blob: a blob with a depthwise convolution.
        height, width: pixels of its input.
        target: a name of `targets.TARGETS`.

    Raises:
        ConfigError: the target is unknown.
        ModelError: a device would reject the blob.
    """
    scratch = _library().sparsesep_host_depthwise_scratch_bytes
    return int(scratch(_isa(target), _depthwise(blob).ctypes, height, width))


def _depthwise(blob: bytes) -> npt.NDArray[np.uint8]:
    reason = validate_separable_conv(blob)
    if reason is not None:
        raise ModelError(reason)
    return aligned_copy(blob)


def _isa(target: str) -> bytes | None:
    isa = get_target(target).isa
    return None if isa is None else isa.encode()


def aligned_copy(blob: bytes) -> npt.NDArray[np.uint8]:
    """Return `blob` at an address that is a multiple of 16, as in a model file."""
    room = np.zeros(len(blob) + 16, np.uint8)
    start = -room.ctypes.data % 16
    room[start : start + len(blob)] = np.frombuffer(blob, np.uint8)
    return room[start : start + len(blob)]
