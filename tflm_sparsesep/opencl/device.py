"""An OpenCL device, found by name: its queue, its kernels, its buffers."""

from __future__ import annotations

import contextlib
import sys
from typing import Any

import numpy as np
import numpy.typing as npt

from tflm_sparsesep.converters.errors import ConfigError, DeviceError, ToolMissingError
from tflm_sparsesep.opencl.api import opencl_errors, pyopencl
from tflm_sparsesep.opencl.buffers import Buffer, Memory
from tflm_sparsesep.opencl.kernels import Kernels, Programs

Array = npt.NDArray[Any]

_POCL = "Portable Computing Language"
_VECTORS = (4, 8, 16)
# Work-items that share one block's gradient on a device other than a CPU.
_MOST_LANES = 32
_INSTALL_DRIVER = "install a driver, e.g. apt-get install pocl-opencl-icd"


class Device:
    """A device, found by name, with an in-order queue.

    Attributes:
        name: platform and device, for people.
        memory: bytes of its buffers.

    Args:
        name: a part of a platform's or device's name, in any case; None takes the first GPU, or
            else the first device.
        samples: samples of a batch that a work-item computes, 4, 8 or 16; by default the width of
            the device's vectors, on a GPU 4.
        lanes: work-items that share the gradient of a block, a power of 2, fewer for small batches;
            by default 1 on a CPU, 32 elsewhere.

    Raises:
        ToolMissingError: pyopencl is not installed, or there is no device at all.
        ConfigError: no device has that name, or another argument is not accepted.
        DeviceError: the device cannot be used in this process.
    """

    def __init__(
        self, name: str | None = None, *, samples: int | None = None, lanes: int | None = None
    ) -> None:
        """Open the device; arguments and errors are those of the class."""
        cl = pyopencl()
        device = _find(name)
        if device.platform.name == _POCL and "tensorflow" in sys.modules:
            raise DeviceError(
                "TensorFlow is loaded in this process and crashes pocl's compiler; accepted: a "
                "process that does not import TensorFlow, or another device"
            )
        is_cpu = bool(device.type & cl.device_type.CPU)
        self.name = f"{device.platform.name.strip()}, {device.name.strip()}"
        self._samples = samples if samples is not None else _default_samples(device, is_cpu)
        self._lanes = lanes if lanes is not None else (1 if is_cpu else _MOST_LANES)
        if self._samples not in _VECTORS:
            raise ConfigError(f"samples={samples}; accepted: 4, 8 or 16")
        if self._lanes < 1 or self._lanes & (self._lanes - 1):
            raise ConfigError(f"lanes={lanes}; accepted: powers of 2")
        with opencl_errors(f"opening {self.name}"):
            self.context = cl.Context([device])  # Intel's runtime frees it under a queue
            self.queue = cl.CommandQueue(self.context)
        self.memory = Memory()
        self._programs = Programs(self.queue)

    @property
    def batch_multiple(self) -> int:
        """Batches are padded to a multiple of this many samples."""
        return max(_VECTORS)

    def kernels(self, block: tuple[int, int], batch: int) -> Kernels:
        """Return the kernels for blocks of this shape and batches padded to `batch` samples."""
        return Kernels(self._programs, block, batch, self._samples, self._lanes)

    def buffer(self, role: str, shape: tuple[int, ...], dtype: Any) -> Buffer:
        """Allocate an uninitialized buffer, counted as `role` by `Memory`."""
        return Buffer(self.queue, self.memory, role, shape, dtype)

    def upload(self, role: str, values: Array) -> Buffer:
        """Allocate a buffer that holds `values`."""
        buffer = self.buffer(role, values.shape, values.dtype)
        buffer.write(np.ascontiguousarray(values))
        return buffer

    def zeros(self, role: str, *shape: int) -> Buffer:
        """Allocate a float32 buffer of zeros."""
        buffer = self.buffer(role, shape, np.float32)
        cl = pyopencl()
        with opencl_errors("filling a buffer"):
            cl.enqueue_fill_buffer(self.queue, buffer.memory, np.float32(0), 0, buffer.memory.size)
        return buffer


def _find(name: str | None) -> Any:
    cl = pyopencl()
    devices = _devices()
    if not devices:
        raise ToolMissingError(f"no OpenCL device was found: {_INSTALL_DRIVER}")
    if name is None:
        gpus = [d for d in devices if d.type & cl.device_type.GPU]
        return (gpus or devices)[0]
    names = [f"{d.platform.name.strip()}, {d.name.strip()}" for d in devices]
    for device, full_name in zip(devices, names, strict=True):
        if name.lower() in full_name.lower():
            return device
    raise ConfigError(f"device={name!r}; accepted: a part of {' or of '.join(names)}")


def _devices() -> list[Any]:
    cl = pyopencl()
    try:
        platforms = cl.get_platforms()
    except cl.Error:  # the loader found no driver
        return []
    found = []
    for platform in platforms:
        # A platform without devices raises an error.
        with contextlib.suppress(cl.Error):
            found += platform.get_devices()
    return found


def _default_samples(device: Any, is_cpu: bool) -> int:
    if not is_cpu:
        return _VECTORS[0]
    width = int(device.native_vector_width_float)
    return max(v for v in _VECTORS if v <= max(width, _VECTORS[0]))
