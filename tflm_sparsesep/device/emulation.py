"""Run a layer on an emulated Cortex-M and count the instructions that it executes, exactly.

A bare-metal firmware (`firmware/`) reads a job from a file, runs the op core on it and writes
outputs to a file; a QEMU plugin counts every instruction between two markers around each
evaluation. No clock is involved: the same layer gives the same count on every machine.

The count covers everything that the operator's `eval` executes, its call and return included.
Cycles, wait states and caches are not modeled. On Cortex-M55 a gather load and the LE that closes
each iteration of a low-overhead loop count as one instruction each.
"""

from __future__ import annotations

import io
import itertools
import math
import struct
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tflm_sparsesep.converters.errors import ConfigError, DeviceError, ToolMissingError
from tflm_sparsesep.converters.targets import get_target
from tflm_sparsesep.device import layer_job, toolchain
from tflm_sparsesep.device.layer_job import Array, ExternalFlash, LayerJob

DEFAULT_OPTIMIZATION = "-O2"

# Columns of the plugin's output (firmware/plugin/thumb_class.h).
CLASSES = ("load", "store", "multiply", "branch", "vector", "other")

# Mirror of firmware/job.h.
_RESULT = struct.Struct("<9I64s128s")
_NUMBERS = ("persistent_bytes", "scratch_bytes", "code_bytes", "fetches", "fetched_bytes")
_RESULT_MAGIC = 0x31525353
_FLASH_DEFINE = "FIRMWARE_PAGING"
_STAGES = ("done", "job", "memory", "init", "prepare", "eval", "overrun")

# The emulator executes well over 20 million instructions a second with the plugin on one core of
# a slow machine; soft floats need about 150 instructions per multiply-add.
_START_SECONDS = 30.0
_SECONDS_PER_MAC = 150 / 20e6


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
        op_name, options, blob, inputs, output_shape, flash: as in `LayerJob`.
        optimization, variants, board, timeout: as for `run_layers`.

    Raises:
        ConfigError, ToolMissingError, DeviceError: as for `run_layers`.
    """
    job = LayerJob(op_name, options, blob, inputs, output_shape, flash)
    (run,) = run_layers(
        target,
        [job],
        optimization=optimization,
        variants=variants,
        board=board,
        timeout=timeout,
    )
    return run


def run_layers(
    target: str,
    jobs: Sequence[LayerJob],
    *,
    optimization: str = DEFAULT_OPTIMIZATION,
    variants: tuple[str, ...] = (),
    board: str | None = None,
    timeout: float | None = None,
) -> list[LayerRun]:
    """Run one or more layers, one after another, in one start of the emulator.

    Each layer has all memory of the board and counts what it counts alone.

    Args:
        target: the core to compile for and to run on, such as "cortex-m4".
        jobs: the layers, all with an external memory or all without.
        optimization: flag of gcc.
        variants: names of the fully-connected kernels to link; none links all.
        board: an emulated board of the target; None takes its default.
        timeout: seconds; None derives a generous limit from the size of the work.

    Raises:
        ConfigError: an argument is not accepted.
        ToolMissingError: QEMU (with TCG plugins) or a compiler is missing.
        DeviceError: an operator refused (with its reason), crashed, or ran out of time.
    """
    core = get_target(target)
    if len({job.flash is None for job in jobs}) != 1:
        raise ConfigError(
            f"jobs: {sum(job.flash is not None for job in jobs)} of {len(jobs)} have an external "
            "memory; accepted: one or more layers, all with one or all without"
        )
    packed = [layer_job.pack(job, len(jobs) - number) for number, job in enumerate(jobs, 1)]
    defines = () if jobs[0].flash is None else (_FLASH_DEFINE,)
    image = toolchain.build_firmware(
        target, optimization=optimization, defines=defines, variants=variants, board=board
    )
    archive = toolchain.build_core(target, optimization=optimization, variants=variants)
    machine = toolchain.board_of(core, board)
    seconds = _generous_timeout(jobs) if timeout is None else timeout
    where = f"{target} ({machine})"
    everything = f"{len(jobs)} layers" if len(jobs) > 1 else jobs[0].op_name
    with tempfile.TemporaryDirectory(prefix="tflm-sparsesep-") as directory:
        work = Path(directory)
        (work / "job.bin").write_bytes(b"".join(packed))
        _run_qemu(image, machine, work, seconds, f"{everything} on {where}")
        return [
            LayerRun(
                **counted,
                kernel=kernel,
                kernel_code_bytes=toolchain.kernel_text_bytes(archive, kernel) if kernel else 0,
                target=target,
                board=machine,
                flags=" ".join(toolchain.compile_flags(core, optimization)),
                compiler=_name_and_version("arm-none-eabi-gcc"),
                qemu=_name_and_version("qemu-system-arm"),
            )
            for kernel, counted in _read_runs(work, jobs, where)
        ]


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


def _generous_timeout(jobs: Sequence[LayerJob]) -> float:
    return _START_SECONDS + sum(map(_work_of, jobs)) * _SECONDS_PER_MAC


def _work_of(job: LayerJob) -> int:
    flash = job.flash
    size = len(job.blob) if flash is None else len(flash.image) * (1 + flash.loops_per_byte)
    return size * math.prod(job.inputs.shape[:-1])


def _name_and_version(tool: str) -> str:
    return f"{tool} {toolchain.find_tools()[tool].version}"


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


def _read_runs(
    work: Path, jobs: Sequence[LayerJob], where: str
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the kernel of each layer, and what the emulator counted: fields of `LayerRun`."""
    results = (work / "result.bin").read_bytes()
    parsed = [
        _read_result(results[number * _RESULT.size :][: _RESULT.size], _name(jobs, number, where))
        for number in range(len(jobs))
    ]
    counts = _read_counts(work / "counts.txt", sum(len(job.inputs) for job in jobs), where)
    outputs, regions = io.BytesIO((work / "outputs.bin").read_bytes()), iter(counts)
    for job, (sizes, kernel) in zip(jobs, parsed, strict=True):
        counted = list(itertools.islice(regions, len(job.inputs)))
        shape = (len(job.inputs), *job.output_shape)
        written = bytearray(outputs.read(math.prod(shape) * job.inputs.itemsize))
        values: npt.NDArray[Any] = np.frombuffer(written, job.inputs.dtype)
        yield (
            kernel,
            {
                **sizes,
                "outputs": values.reshape(shape),
                "instructions": [sum(region) for region in counted],
                "classes": dict(zip(CLASSES, map(sum, zip(*counted, strict=True)), strict=True)),
            },
        )


def _name(jobs: Sequence[LayerJob], number: int, where: str) -> str:
    which = f" (layer {number + 1} of {len(jobs)})" if len(jobs) > 1 else ""
    return f"{jobs[number].op_name}{which} on {where}"


def _read_result(data: bytes, where: str) -> tuple[dict[str, int], str]:
    """Return the numbers of a layer's result by name, and the kernel."""
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
