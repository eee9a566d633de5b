"""Arrays on an OpenCL device, and the memory that they take."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import numpy.typing as npt

from tflm_sparsesep.opencl.api import opencl_errors, pyopencl

Array = npt.NDArray[Any]


class Memory:
    """Bytes of buffers by role, now and at the peak."""

    def __init__(self) -> None:
        """Start at zero."""
        self.now: Counter[str] = Counter()
        self.peak: Counter[str] = Counter()
        self.peak_of_state = 0
        """Peak of everything but activations: weights, indices, moments of Adam, gradients."""

    def change(self, role: str, size: int) -> None:
        """Add `size` bytes, which may be negative, to `role`."""
        self.now[role] += size
        self.peak[role] = max(self.peak[role], self.now[role])
        state = self.now.total() - self.now["activations"]
        self.peak_of_state = max(self.peak_of_state, state)


class Buffer:
    """An array on the device of `queue`; `release` frees its memory at once.

    Attributes:
        shape: of the array.
        dtype: of the array.
        memory: the argument for kernels.
    """

    def __init__(
        self, queue: Any, ledger: Memory, role: str, shape: tuple[int, ...], dtype: Any
    ) -> None:
        """Allocate the array and count its bytes in `ledger` under `role`."""
        self.shape, self.dtype = shape, np.dtype(dtype)
        self._queue, self._ledger, self._role = queue, ledger, role
        # OpenCL has no empty buffers.
        self._bytes = max(1, int(np.prod(shape, dtype=np.int64))) * self.dtype.itemsize
        with opencl_errors(f"allocating {self._bytes} bytes"):
            self.memory = pyopencl().Buffer(
                queue.context, pyopencl().mem_flags.READ_WRITE, self._bytes
            )
        ledger.change(role, self._bytes)

    def write(self, values: Array) -> None:
        """Copy `values` to the device: contiguous, of this dtype, at most of this size."""
        if values.size:
            with opencl_errors("writing a buffer"):
                pyopencl().enqueue_copy(self._queue, self.memory, values)

    def read(self) -> Array:
        """Return a copy of the array."""
        values = np.empty(self.shape, self.dtype)
        if values.size:
            with opencl_errors("reading a buffer"):
                pyopencl().enqueue_copy(self._queue, values, self.memory)
        return values

    def release(self) -> None:
        """Free the memory; the buffer must not be used afterwards."""
        self.memory.release()
        self._ledger.change(self._role, -self._bytes)
