"""The OpenCL kernels of training, compiled for shapes of blocks and batches."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

import numpy as np

from tflm_sparsesep.opencl.api import opencl_errors, pyopencl
from tflm_sparsesep.opencl.buffers import Buffer
from tflm_sparsesep.sources import source_dir

# Each kernel's file, and the macros that it is compiled with.
_PRODUCTS = ("training_products.cl", "BLOCK_ROWS", "BLOCK_COLS", "BATCH", "SAMPLES", "LANES")
_UPDATE = ("training_update.cl", "BLOCK_ROWS", "BLOCK_COLS")
_LOSS = ("training_loss.cl",)
_BATCH = ("training_batch.cl", "BATCH")
_KERNELS = {
    "forward": _PRODUCTS,
    "backward": _PRODUCTS,
    "value_gradient": _PRODUCTS,
    "bias_gradient": _PRODUCTS,
    "update_values": _UPDATE,
    "update_bias": _UPDATE,
    "softmax_cross_entropy": _LOSS,
    "softmax": _LOSS,
    "turn": _BATCH,
}
# Vectors of samples per work-group; OpenCL devices allow at least this many.
_MOST_VECTORS = 64
# Cached kernels with bound arguments; a network of a few layers needs a few dozen.
_MOST_BOUND = 512


class Programs:
    """Kernels of the device of `queue`, each compiled once for the same macros."""

    def __init__(self, queue: Any) -> None:
        """Compile nothing yet."""
        self.queue = queue
        self._programs: dict[tuple[str, ...], Any] = {}

    def kernel(self, name: str, macros: Mapping[str, int]) -> Any:
        """Create kernel `name` without arguments, compiled with those of `macros` that it knows."""
        source, *known = _KERNELS[name]
        options = [f"-D{macro}={macros[macro]}" for macro in known]
        key = (source, *options)
        with opencl_errors(f"compiling {source}"):
            if key not in self._programs:
                program = pyopencl().Program(self.queue.context, _source(source))
                self._programs[key] = program.build(options)
            return pyopencl().Kernel(self._programs[key], name)


class BoundKernel:
    """A kernel that keeps its arguments between calls: setting one takes as long as a launch."""

    def __init__(self, kernel: Any) -> None:
        """Bind no arguments yet."""
        self._kernel = kernel
        self._arguments: list[Buffer | int | float | None] = [None] * kernel.num_args

    def launch(
        self,
        queue: Any,
        size: tuple[int, ...],
        group: tuple[int, ...] | None,
        arguments: tuple[Buffer | int | float, ...],
    ) -> None:
        """Set the arguments that differ from the last call's, and enqueue the kernel."""
        for i, argument in enumerate(arguments):
            if argument != self._arguments[i]:
                self._kernel.set_arg(i, _argument(argument))
                self._arguments[i] = argument
        pyopencl().enqueue_nd_range_kernel(queue, self._kernel, size, group)


class Kernels:
    """The kernels for one shape of blocks and one size of batches, a multiple of 16.

    They are called by name with global size and work-group; Python's ints become uint, floats
    float. Samples and lanes are those of `Device`.

    Attributes:
        vectors: vectors of samples in a batch.
        vector_group: vectors in one work-group.
        lanes: work-items that share the gradient of a block.
    """

    def __init__(
        self, programs: Programs, block: tuple[int, int], batch: int, samples: int, lanes: int
    ) -> None:
        """Derive work-groups and macros; arguments are those of the class."""
        self.vectors = batch // samples
        # The largest power of 2 that divides their number.
        divisor = self.vectors & -self.vectors
        self.vector_group = min(divisor, _MOST_VECTORS)
        self.lanes = min(divisor, lanes)
        self._programs = programs
        self._bound: dict[tuple[object, ...], BoundKernel] = {}
        self._macros = {
            "BLOCK_ROWS": block[0],
            "BLOCK_COLS": block[1],
            "BATCH": batch,
            "SAMPLES": samples,
            "LANES": self.lanes,
        }

    def __call__(
        self,
        name: str,
        size: tuple[int, ...],
        group: tuple[int, ...],
        *arguments: Buffer | int | float,
    ) -> None:
        """Enqueue a kernel, unless there are no work-items."""
        if 0 in size:
            return
        bound = self._bind(name, arguments)
        with opencl_errors(f"running {name}"):
            bound.launch(self._programs.queue, size, group, arguments)

    def _bind(self, name: str, arguments: tuple[Buffer | int | float, ...]) -> BoundKernel:
        """Return a kernel bound to these buffers, if possible the one of an earlier call."""
        # The bound kernel holds the buffers, so no other buffer has their ids.
        key = (name, *(id(a) for a in arguments if isinstance(a, Buffer)))
        if key not in self._bound:
            if len(self._bound) == _MOST_BOUND:
                self._bound.clear()
            self._bound[key] = BoundKernel(self._programs.kernel(name, self._macros))
        return self._bound[key]


def _argument(argument: Buffer | int | float) -> Any:
    if isinstance(argument, Buffer):
        return argument.memory
    return np.uint32(argument) if isinstance(argument, int) else np.float32(argument)


@functools.cache
def _source(name: str) -> str:
    return (source_dir() / "kernels" / "opencl" / name).read_text()
