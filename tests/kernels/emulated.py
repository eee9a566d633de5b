"""Layers through the op core in a program of its own, under an emulator of another processor."""

from __future__ import annotations

import struct
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

import tflm_sparsesep
from tests.support.layers import layout_case
from tests.support.sweeps import sweep
from tflm_sparsesep.converters.blob.format import Layout, ValueType
from tflm_sparsesep.converters.blob.pack import can_pack, pack
from tflm_sparsesep.converters.native import library_path
from tflm_sparsesep.device.synthetic_layers import LayerCase

Case = LayerCase[Any]

# SparsesepTensorType of custom_ops/port.h.
TENSOR_TYPES = {"int8": 1, "float32": 3}
_FLAGS = ("-std=c11", "-O2", "-Wall", "-Wextra", "-Werror")


def link(compiler: str, folder: Path) -> dict[str, Path]:
    """run_layers.c over the libraries that Python loads, by kind of rounding."""
    libraries = {"double": "libsparsesep_host.so", "single": "libsparsesep_host_single_rounding.so"}
    return {
        rounding: _compile(compiler, [library_path(name)], folder / rounding)
        for rounding, name in libraries.items()
    }


def build(compiler: str, folder: Path) -> dict[str, Path]:
    """run_layers.c and the kernels by a cross compiler, by kind of rounding."""
    root = tflm_sparsesep.source_dir()
    sources = [
        *sorted((root / "custom_ops/host").glob("*.c")),
        *sorted((root / "custom_ops/core").glob("*.c")),
        *sorted((root / "kernels").rglob("*.c")),
    ]
    return {
        rounding: _compile(
            compiler, sources, folder / rounding, "-static", f"-DTFLITE_SINGLE_ROUNDING={single}"
        )
        for rounding, single in (("double", 0), ("single", 1))
    }


def _compile(compiler: str, inputs: list[Path], program: Path, *flags: str) -> Path:
    root = tflm_sparsesep.source_dir()
    includes = [f"-I{root / name}" for name in ("kernels", "kernels/include", "custom_ops")]
    main = Path(__file__).with_name("run_layers.c")
    command = [compiler, *_FLAGS, *flags, *includes, *map(str, [main, *inputs])]
    subprocess.run([*command, "-o", str(program)], check=True)
    return program


def run_all(
    command: Sequence[str], cases: Sequence[Case], layout: Layout, folder: Path
) -> tuple[list[npt.NDArray[Any]], set[str]]:
    """Outputs [batch, rows] of each case, and the names of the kernels that ran.

    `command` is a program that `build` made, behind what emulates its processor.
    """
    with (folder / "layers").open("wb") as file:
        for case in cases:
            options, blob = case.options.to_bytes(), pack(case.layer, layout)
            kind = TENSOR_TYPES[case.inputs.dtype.name]
            elements, rows, batch = case.inputs.size, len(case.layer.bias), len(case.inputs)
            file.write(struct.pack("<6I", len(options), len(blob), kind, elements, rows, batch))
            file.write(options + blob + case.inputs.tobytes())
    arguments = [str(folder / "layers"), str(folder / "outputs")]
    done = subprocess.run([*command, *arguments], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    everything = np.fromfile(folder / "outputs", cases[0].inputs.dtype)
    shapes = [(len(case.inputs), len(case.layer.bias)) for case in cases]
    ends = np.cumsum([batch * rows for batch, rows in shapes])
    assert len(everything) == ends[-1]
    parts = np.split(everything, ends[:-1])
    outputs = [part.reshape(shape) for part, shape in zip(parts, shapes, strict=True)]
    return outputs, set(done.stdout.split())


def random_cases(layout: Layout, count: int) -> list[Case]:
    """Return layers of all numbers of rows up to 40 and of columns up to 90.

    Every tenth is wide, every fourth has a batch for kernels that take many vectors at once, every
    eighth int8 one wraps its accumulators. Those that the layout cannot hold are left out.
    """
    is_int8 = layout.value_type is not ValueType.FLOAT32
    cases = [
        layout_case(
            rng,
            layout,
            1 + 11 * number % 40,
            int(rng.integers(500, 1500)) if number % 10 == 0 else 1 + 37 * number % 90,
            zeros=float(rng.choice([0.0, 0.5, 0.9, 0.99, 1.0])),
            batch=int(rng.integers(4, 75) if number % 4 == 2 else rng.integers(1, 4)),
            input_zeros=float(rng.choice([0.0, 0.6])),
            extreme=is_int8 and number % 8 == 7,
        )
        for number, rng in enumerate(sweep(12, count))
    ]
    held = [case for case in cases if can_pack(case.layer, layout)]
    assert len(held) >= len(cases) // 4
    return held
