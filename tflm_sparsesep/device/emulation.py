"""Run a layer on an emulated Cortex-M and count the instructions that it executes, exactly.

A bare-metal firmware (`firmware/`) reads a job from a file, runs the op core on it and writes
outputs to a file; a QEMU plugin counts every instruction between two markers around each
evaluation. No clock is involved: the same layer gives the same count on every machine.

The count covers everything that the operator's `eval` executes, its call and return included.
Cycles, wait states and caches are not modeled. On Cortex-M55 a gather load and the LE that closes
each iteration of a low-overhead loop count as one instruction each.
"""

from __future__ import annotations

import math
import struct
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tflm_sparsesep.converters.errors import ConfigError, DeviceError, ToolMissingError
from tflm_sparsesep.converters.targets import get_target
from tflm_sparsesep.device import toolchain

Array = npt.NDArray[np.int8] | npt.NDArray[np.float32]

DEFAULT_OPTIMIZATION = "-O2"

# Columns of the plugin's output (firmware/plugin/thumb_class.h).
CLASSES = ("load", "store", "multiply", "branch", "vector", "other")

# Mirror of firmware/job.h.
_JOB = struct.Struct("<3I32s5I7i7i4I")
_JOB_MAGIC = 0x314A5353
_RESULT = struct.Struct("<9I64s128s")
_NUMBERS = ("persistent_bytes", "scratch_bytes", "code_bytes", "fetches", "fetched_bytes")
_RESULT_MAGIC = 0x31525353
_MAX_RANK = 6
_FLASH_OVERLAPS, _FLASH_IS_TRUSTED = 1, 2
_FLASH_DEFINE = "FIRMWARE_PAGING"
_STAGES = ("done", "job", "memory", "init", "prepare", "eval", "overrun")

# SparsesepTensorType of custom_ops/port.h.
_TENSOR_TYPES = {np.dtype(np.int8): 1, np.dtype(np.float32): 3}

# The emulator executes well over 20 million instructions a second with the plugin on one core of
# a slow machine; soft floats need about 150 instructions per multiply-add.
_START_SECONDS = 30.0
_SECONDS_PER_MAC = 150 / 20e6


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
class LayerRun:
    """One operator, run on an emulated core.

    Attributes:
        outputs: [K, *output_shape], dtype of the inputs.
        instructions: executed instructions per input, K numbers.
        classes: the sum over all inputs by class of instruction (keys: `CLASSES`).
        scratch_bytes: requested by prepare, needed during an evaluation.
        persistent_bytes: allocated by init.
        code_bytes: code and constants of all kernels and the op core as linked, without the C
            library.
        fetches: fetches from the external memory, by Prepare and all evaluations.
        fetched_bytes: bytes that they requested.
        kernel: name of the kernel variant that ran; empty for operators without variants.
        kernel_code_bytes: code of that variant alone, 0 without one.
        target, board, flags: of the run; flags are those of gcc.
        compiler, qemu: name and version.
    """

    outputs: Array
    instructions: list[int]
    classes: dict[str, int]
    scratch_bytes: int
    persistent_bytes: int
    code_bytes: int
    fetches: int
    fetched_bytes: int
    kernel: str
    kernel_code_bytes: int
    target: str
    board: str
    flags: str
    compiler: str
    qemu: str


def run_layer(
    target: str,
    op_name: str,
    options: bytes,
    blob: bytes,
    inputs: Array,
    output_shape: tuple[int, ...],
    *,
    optimization: str = DEFAULT_OPTIMIZATION,
    variants: tuple[str, ...] = (),
    flash: ExternalFlash | None = None,
    board: str | None = None,
    timeout: float | None = None,
) -> LayerRun:
    """Run one custom operator on K inputs and count the instructions of each evaluation.

    Args:
        target: the core to compile for and to run on, such as "cortex-m4".
        op_name, options, blob: the operator's name, custom_options and packed weights in the file.
        inputs: [K, ...], int8 or float32: K input tensors. Init and prepare run once, eval K times.
        output_shape: shape of one output, for instance (batch, rows).
        optimization: flag of gcc.
        variants: names of the fully-connected kernels to link; none links all.
        flash: the external memory, where `blob` is a table of contents.
        board: an emulated board of the target; None takes its default.
        timeout: seconds; None derives a generous limit from the size of the work.

    Raises:
        ConfigError: an argument is not accepted.
        ToolMissingError: QEMU (with TCG plugins) or a compiler is missing.
        DeviceError: the operator refused (with its reason), crashed, or ran out of time.
    """
    core = get_target(target)
    job = _pack_job(op_name, options, blob, inputs, output_shape, flash)
    defines = () if flash is None else (_FLASH_DEFINE,)
    image = toolchain.build_firmware(
        target, optimization=optimization, defines=defines, variants=variants, board=board
    )
    machine = toolchain.board_of(core, board)
    seconds = _generous_timeout(blob, inputs, flash) if timeout is None else timeout
    where = f"{op_name} on {target} ({machine})"
    counted = _counted(image, machine, job, seconds, where, inputs, output_shape)
    kernel = counted["kernel"]
    return LayerRun(
        **counted,
        kernel_code_bytes=toolchain.kernel_text_bytes(core, kernel, optimization) if kernel else 0,
        target=target,
        board=machine,
        flags=" ".join(toolchain.compile_flags(core, optimization)),
        compiler=_name_and_version("arm-none-eabi-gcc"),
        qemu=_name_and_version("qemu-system-arm"),
    )


def _counted(
    image: Path,
    machine: str,
    job: bytes,
    timeout: float,
    where: str,
    inputs: Array,
    output_shape: tuple[int, ...],
) -> dict[str, Any]:
    """Run a job and return what the emulator counted: fields of `LayerRun`."""
    with tempfile.TemporaryDirectory(prefix="tflm-sparsesep-") as directory:
        work = Path(directory)
        (work / "job.bin").write_bytes(job)
        _run_qemu(image, machine, work, timeout, where)
        sizes, kernel = _read_result(work, where)
        counts = _read_counts(work / "counts.txt", len(inputs), where)
        outputs: npt.NDArray[Any] = np.fromfile(work / "outputs.bin", inputs.dtype)
    return {
        **sizes,
        "outputs": outputs.reshape((len(inputs), *output_shape)),
        "instructions": [sum(region) for region in counts],
        "classes": dict(zip(CLASSES, map(sum, zip(*counts, strict=True)), strict=True)),
        "kernel": kernel,
    }


def check_counter(target: str, *, loops: int = 1000, board: str | None = None) -> None:
    """Prove on this machine that instructions are counted exactly, with a loop of known length.

    Raises:
        DeviceError: the count differs from what firmware/counter_check.h executes.
    """
    expected = 1 + 4 + 4 * loops + 600
    if target != "cortex-m0":
        expected += 1205
    if get_target(target).has_mve:
        expected += 4 + 2 * loops
    inputs = np.zeros((2, 1), np.int8)
    run = run_layer(
        target, "COUNTER_CHECK", struct.pack("<I", loops), b"", inputs, (1,), board=board
    )
    if run.instructions != [expected, expected]:
        raise DeviceError(
            f"{run.qemu} counted {run.instructions} instructions on {target} where exactly "
            f"{expected} are executed: its figures cannot be trusted"
        )


def _generous_timeout(blob: bytes, inputs: Array, flash: ExternalFlash | None) -> float:
    size = len(blob) if flash is None else len(flash.image) * (1 + flash.loops_per_byte)
    return _START_SECONDS + size * math.prod(inputs.shape[:-1]) * _SECONDS_PER_MAC


def _name_and_version(tool: str) -> str:
    return f"{tool} {toolchain.find_tools()[tool].version}"


def _pack_job(
    op_name: str,
    options: bytes,
    blob: bytes,
    inputs: Array,
    output_shape: tuple[int, ...],
    flash: ExternalFlash | None,
) -> bytes:
    """Return job.bin as firmware/job.h describes it."""
    name = op_name.encode()
    if not 0 < len(name) < 32:
        raise ConfigError(f"op_name {op_name!r} has {len(name)} bytes; accepted: 1 to 31")
    if inputs.dtype not in _TENSOR_TYPES:
        raise ConfigError(f"inputs have dtype {inputs.dtype}; accepted: int8, float32")
    if inputs.ndim < 2 or 0 in inputs.shape:
        raise ConfigError(f"inputs have shape {inputs.shape}; accepted: [K, ...], nothing empty")
    itemsize = inputs.dtype.itemsize
    header = _JOB.pack(
        _JOB_MAGIC,
        _JOB.size,
        len(inputs),
        name,
        len(options),
        len(blob),
        _TENSOR_TYPES[inputs.dtype],
        math.prod(inputs.shape[1:]) * itemsize,
        math.prod(output_shape) * itemsize,
        *_pack_shape("inputs[k]", inputs.shape[1:]),
        *_pack_shape("output_shape", output_shape),
        *_pack_flash(flash),
    )
    external = b"" if flash is None else flash.image
    return header + options + blob + external + inputs.tobytes()


def _pack_flash(flash: ExternalFlash | None) -> tuple[int, int, int, int]:
    if flash is None:
        return (0, 0, 0, 0)
    flags = _FLASH_OVERLAPS * flash.overlaps | _FLASH_IS_TRUSTED * flash.is_trusted
    return (len(flash.image), flash.loops_per_byte, flash.failing_fetch, flags)


def _pack_shape(what: str, shape: tuple[int, ...]) -> tuple[int, ...]:
    if not 1 <= len(shape) <= _MAX_RANK or min(shape) < 1:
        raise ConfigError(f"{what} is {shape}; accepted: 1 to {_MAX_RANK} positive dimensions")
    return (len(shape), *shape, *(0 for _ in range(_MAX_RANK - len(shape))))


def _run_qemu(image: Path, machine: str, work: Path, timeout: float, where: str) -> None:
    """Run `image` with the plugin in directory `work` until it exits."""
    qemu = toolchain.require_tool("qemu-system-arm")
    plugin = str(toolchain.build_plugin()).replace(",", ",,")
    command = [
        str(qemu.path),
        *("-machine", machine, "-nodefaults", "-display", "none", "-serial", "none"),
        *("-monitor", "none", "-no-reboot", "-kernel", str(image)),
        *("-semihosting-config", "enable=on,target=native"),
        *("-plugin", f"{plugin},out=counts.txt"),
    ]
    try:
        done = subprocess.run(
            command, cwd=work, stdin=subprocess.DEVNULL, capture_output=True, timeout=timeout
        )
    except subprocess.TimeoutExpired:
        raise DeviceError(f"{where} did not finish within {timeout:g} s") from None
    if done.returncode != 0:
        said = done.stderr.decode(errors="replace").splitlines()
        reason = next((line for line in said if line and "warning" not in line), "no message")
        if reason.startswith(qemu.name) and "plugin" in reason:
            raise ToolMissingError(f"{reason}: QEMU with TCG plugins is needed; {qemu.install}")
        raise DeviceError(f"{where} ended with exit code {done.returncode}: {reason}")


def _read_result(work: Path, where: str) -> tuple[dict[str, int], str]:
    """Return the numbers of a result by name, and the kernel."""
    data = (work / "result.bin").read_bytes()
    if len(data) != _RESULT.size:
        raise DeviceError(f"{where}: result.bin has {len(data)} bytes, expected {_RESULT.size}")
    magic, size, stage, _, *numbers, kernel, message = _RESULT.unpack(data)
    if magic != _RESULT_MAGIC or size != _RESULT.size:
        raise DeviceError(f"{where}: result.bin was not written by this version's firmware")
    if stage != 0:
        raise DeviceError(f"{where} failed in {_STAGES[stage]}: {_text(message)}")
    return dict(zip(_NUMBERS, numbers, strict=True)), _text(kernel)


def _text(field: bytes) -> str:
    """Decode a C string in a field of fixed size."""
    return field.split(b"\0")[0].decode(errors="replace")


def _read_counts(path: Path, regions: int, where: str) -> list[list[int]]:
    """Return the counts by class of each region."""
    counts = [[int(number) for number in line.split()] for line in path.read_text().splitlines()]
    if len(counts) != regions or any(len(region) != len(CLASSES) for region in counts):
        raise DeviceError(f"{where}: the plugin saw {len(counts)} regions, expected {regions}")
    return counts
