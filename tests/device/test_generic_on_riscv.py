"""The portable kernels on an emulated 32-bit RISC-V, which stands for every `generic` core."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.layers import layout_case, reference
from tflm_sparsesep.converters.blob.format import ValueType
from tflm_sparsesep.converters.blob.layouts import layouts_for
from tflm_sparsesep.converters.blob.pack import pack
from tflm_sparsesep.device.synthetic_layers import LayerCase
from tflm_sparsesep.exporting.c_text import bytes_text
from tflm_sparsesep.sources import source_dir

COMPILER, EMULATOR = "riscv64-unknown-elf-gcc", "qemu-system-riscv32"
HERE = Path(__file__).parent
FLAGS = ("-march=rv32imac", "-mabi=ilp32", "-std=c11", "-O2", "-Wall", "-Wextra", "-Werror")
# The RAM of QEMU's board `virt` begins at 2 GiB.
MEMORY = {
    "__flash": "0x80000000",
    "__flash_size": "0x400000",
    "__ram": "0x80400000",
    "__ram_size": "0x200000",
}
LIBRARY = (
    "--specs=picolibc.specs",
    "--oslib=semihost",
    "--crt0=hosted",
    *(f"-Wl,--defsym={name}={value}" for name, value in MEMORY.items()),
)

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not (shutil.which(COMPILER) and shutil.which(EMULATOR)),
        reason=f"no {COMPILER} or no {EMULATOR}: apt-get install gcc-riscv64-unknown-elf "
        "picolibc-riscv64-unknown-elf qemu-system-misc",
    ),
]

# TFLite's arithmetic in int64 is the oracle; floats have another.
LAYOUTS = [one for one in layouts_for("generic") if one.value_type is not ValueType.FLOAT32]


def header_of(cases: Sequence[LayerCase[Any]]) -> str:
    """layers.h: the bytes of each layer, and a table of them."""
    parts = ["#include <stddef.h>", "#include <stdint.h>"]
    rows = []
    for number, (layout, case) in enumerate(zip(LAYOUTS, cases, strict=True)):
        contents = {
            "options": case.options.to_bytes(),
            "blob": pack(case.layer, layout),
            "input": case.inputs.tobytes(),
        }
        for name, data in contents.items():
            parts.append(
                f"_Alignas(16) static uint8_t {name}{number}[] = {{\n{bytes_text(data)}\n}};"
            )
        sizes = f"{len(contents['options'])}, {len(contents['blob'])}"
        counts = f"{case.inputs.size}, {len(case.layer.bias)}, {len(case.inputs)}"
        rows.append(f"  {{options{number}, blob{number}, input{number}, {sizes}, {counts}}},")
    parts += [
        "typedef struct Layer {",
        "  void *options, *blob, *input;",
        "  size_t options_bytes, blob_bytes;",
        "  int32_t elements, rows, batch;",
        "} Layer;",
        "static const Layer layers[] = {",
        *rows,
        "};",
    ]
    return "\n".join(parts) + "\n"


def test_every_portable_kernel_gives_the_outputs_of_tflite(tmp_path: Path) -> None:
    cases = [
        layout_case(np.random.default_rng(seed), layout, 13, 67, zeros=0.8, batch=3)
        for seed, layout in enumerate(LAYOUTS)
    ]
    (tmp_path / "layers.h").write_text(header_of(cases))
    root = source_dir()
    sources = [
        HERE / "run_on_riscv.c",
        root / "custom_ops/host/host_port.c",
        *sorted((root / "custom_ops/core").glob("*.c")),
        *sorted((root / "kernels").rglob("*.c")),
    ]
    folders = (
        tmp_path,
        HERE.parent / "kernels",
        *(root / x for x in ("kernels", "kernels/include", "custom_ops")),
    )
    image = tmp_path / "layers.elf"
    command = [COMPILER, *FLAGS, *LIBRARY, *(f"-I{folder}" for folder in folders)]
    built = subprocess.run(
        [*command, *map(str, sources), "-o", str(image)], capture_output=True, text=True
    )
    assert built.returncode == 0, built.stderr[-3000:]
    machine = ["-machine", "virt", "-bios", "none", "-display", "none", "-monitor", "none"]
    semihosting = ["-semihosting-config", "enable=on,target=native", "-kernel", str(image)]
    done = subprocess.run(
        [EMULATOR, *machine, *semihosting], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0
    lines = done.stderr.split()  # where semihosting prints
    assert len(lines) == len(cases)
    for layout, case, line in zip(LAYOUTS, cases, lines, strict=True):
        found = np.frombuffer(bytes.fromhex(line), np.int8).reshape(len(case.inputs), -1)
        np.testing.assert_array_equal(found, reference(case), err_msg=str(layout))
