"""pyopencl, imported when it is first needed, and its errors in one line."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator
from typing import Any

from tflm_sparsesep.converters.errors import DeviceError, ToolMissingError


@functools.cache
def pyopencl() -> Any:
    """The module. Raises ToolMissingError where it is not installed."""
    try:
        import pyopencl
    except ImportError as error:
        raise ToolMissingError(
            f"training in OpenCL needs pyopencl ({error}): pip install 'tflm-sparsesep[opencl]'"
        ) from error
    return pyopencl


@contextlib.contextmanager
def opencl_errors(action: str) -> Iterator[None]:
    """Errors of OpenCL as a DeviceError of one line that says what was being done."""
    try:
        yield
    except pyopencl().Error as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise DeviceError(f"OpenCL failed at {action}: {reason}") from None
