"""pyopencl, imported on first use, and its errors in one line."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator
from typing import Any

from tflm_sparsesep.converters.errors import DeviceError, ToolMissingError


@functools.cache
def pyopencl() -> Any:
    """Import pyopencl.

    Raises:
        ToolMissingError: it is not installed.
    """
    try:
        import pyopencl
    except ImportError as error:
        raise ToolMissingError(
            f"training in OpenCL needs pyopencl ({error}): pip install 'tflm-sparsesep[opencl]'"
        ) from error
    return pyopencl


@contextlib.contextmanager
def opencl_errors(action: str) -> Iterator[None]:
    """Turn errors of OpenCL into a DeviceError of one line that names `action`."""
    try:
        yield
    except pyopencl().Error as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise DeviceError(f"OpenCL failed at {action}: {reason}") from None
