"""Arrays on an OpenCL device, and how much memory they take."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import numpy.typing as npt

from tflm_sparsesep.opencl.api import opencl_errors, pyopencl

Array = npt.NDArray[Any]


class Memory:
    """Bytes of buffers by what they hold, and the most that there were at once."""

    def __init__(self) -> None:
        self.now: Counter[str] = Counter()
        self.peak: Counter[str] = Counter()
        self.peak_of_state = 0
        """The most of all together but activations: weights, their places, Adam, gradients."""

    def change(self, role: str, size: int) -> None:
        """`size` more bytes (or fewer) for `role`."""
        self.now[role] += size
        self.peak[role] = max(self.peak[role], self.now[role])
        state = self.now.total() - self.now["activations"]
        self.peak_of_state = max(self.peak_of_state, state)


class Buffer:
    """An array on the device of `queue`. `release` gives its memory back at once.

    Attributes:
        shape, dtype: of the array.
        memory: what kernels take.
    """

    def __init__(
        self, queue: Any, ledger: Memory, role: str, shape: tuple[int, ...], dtype: Any
    ) -> None:
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
        """Copies `values`, contiguous, of this dtype and no more of them, to the device."""
        if values.size:
            with opencl_errors("writing a buffer"):
                pyopencl().enqueue_copy(self._queue, self.memory, values)

    def read(self) -> Array:
        """A copy of what it holds."""
        values = np.empty(self.shape, self.dtype)
        if values.size:
            with opencl_errors("reading a buffer"):
                pyopencl().enqueue_copy(self._queue, values, self.memory)
        return values

    def release(self) -> None:
        """Frees the memory; the buffer is of no use any more."""
        self.memory.release()
        self._ledger.change(self._role, -self._bytes)
