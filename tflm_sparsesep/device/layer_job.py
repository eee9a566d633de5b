"""The file that tells the firmware which layers to run, on which inputs: firmware/job.h."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tflm_sparsesep.converters.errors import ConfigError

Array = npt.NDArray[np.int8] | npt.NDArray[np.float32]

# Mirror of firmware/job.h.
_JOB = struct.Struct("<4I32s6I7i7i4I")
_JOB_MAGIC = 0x334A5353
_MAX_RANK = 6
_FLASH_OVERLAPS, _FLASH_IS_TRUSTED = 1, 2

# SparsesepTensorType of custom_ops/port.h.
_TENSOR_TYPES = {np.dtype(np.int8): 1, np.dtype(np.float32): 3}


@dataclass(frozen=True)
class ExternalFlash:
    """A simulated external memory for a layer whose weights are pages (docs/paging.md).

    Attributes:
        image: its contents.
        loops_per_byte: iterations of an empty loop for each byte that is fetched.
        failing_fetch: the number of the fetch that fails, from 1, those of Prepare included; 0 for
            none.
        overlaps: bytes arrive only when the operator waits for them.
        is_trusted: pages are checked completely in the first evaluation only.
    """

    image: bytes
    loops_per_byte: int = 0
    failing_fetch: int = 0
    overlaps: bool = False
    is_trusted: bool = False


@dataclass(frozen=True)
class LayerJob:
    """One custom operator and K inputs: init and prepare run once, eval K times.

    Attributes:
        op_name, options, blob: the operator's name, custom_options and packed weights in the file.
        inputs: [K, ...], int8 or float32: K input tensors.
        output_shape: shape of one output, for instance (batch, rows).
        flash: the external memory, where `blob` is a table of contents.
        residuals: [K, *output_shape], the second input, where the operator has one.
    """

    op_name: str
    options: bytes
    blob: bytes
    inputs: Array
    output_shape: tuple[int, ...]
    flash: ExternalFlash | None = None
    residuals: Array | None = None


def pack(job: LayerJob, following: int) -> bytes:
    """Return a layer of job.bin as firmware/job.h describes it.

    `following` counts the layers behind it in the file.

    Raises:
        ConfigError: the job does not fit the file.
    """
    name, inputs = job.op_name.encode(), job.inputs
    if not 0 < len(name) < 32:
        raise ConfigError(f"op_name {job.op_name!r} has {len(name)} bytes; accepted: 1 to 31")
    if inputs.dtype not in _TENSOR_TYPES:
        raise ConfigError(f"inputs have dtype {inputs.dtype}; accepted: int8, float32")
    expected = (len(inputs), *job.output_shape)
    if job.residuals is not None and job.residuals.shape != expected:
        raise ConfigError(f"residuals have shape {job.residuals.shape}; accepted: {expected}")
    if inputs.ndim < 2 or 0 in inputs.shape:
        raise ConfigError(f"inputs have shape {inputs.shape}; accepted: [K, ...], nothing empty")
    itemsize = inputs.dtype.itemsize
    header = _JOB.pack(
        _JOB_MAGIC,
        _JOB.size,
        following,
        len(inputs),
        name,
        len(job.options),
        len(job.blob),
        _TENSOR_TYPES[inputs.dtype],
        math.prod(inputs.shape[1:]) * itemsize,
        math.prod(job.output_shape) * itemsize,
        0 if job.residuals is None else math.prod(job.output_shape) * itemsize,
        *_pack_shape("inputs[k]", inputs.shape[1:]),
        *_pack_shape("output_shape", job.output_shape),
        *_pack_flash(job.flash),
    )
    external = b"" if job.flash is None else job.flash.image
    return header + job.options + job.blob + external + b"".join(_input_bytes(job))


def _input_bytes(job: LayerJob) -> Iterator[bytes]:
    """Yield the bytes of each input, and of its residual."""
    tensors = (job.inputs,) if job.residuals is None else (job.inputs, job.residuals)
    for together in zip(*tensors, strict=True):
        yield from (tensor.tobytes() for tensor in together)


def _pack_flash(flash: ExternalFlash | None) -> tuple[int, int, int, int]:
    if flash is None:
        return (0, 0, 0, 0)
    flags = _FLASH_OVERLAPS * flash.overlaps | _FLASH_IS_TRUSTED * flash.is_trusted
    return (len(flash.image), flash.loops_per_byte, flash.failing_fetch, flags)


def _pack_shape(what: str, shape: tuple[int, ...]) -> tuple[int, ...]:
    if not 1 <= len(shape) <= _MAX_RANK or min(shape) < 1:
        raise ConfigError(f"{what} is {shape}; accepted: 1 to {_MAX_RANK} positive dimensions")
    return (len(shape), *shape, *(0 for _ in range(_MAX_RANK - len(shape))))
