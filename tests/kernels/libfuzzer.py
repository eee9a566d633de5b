"""Coverage-guided fuzzing of the kernels with libFuzzer, ASan and UBSan.

    python tests/kernels/libfuzzer.py FOLDER --seconds N

Builds each target with clang, writes seeds from this project's own packers, and fuzzes for N
seconds. FOLDER keeps the corpora, so that the next run goes on where this one ended; a finding is
left there, too. Prints the executions; the exit code is 1 if there was a finding.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

import tflm_sparsesep
from tests.support.depthwise_layers import random_block
from tests.support.layers import layout_case
from tests.support.sparse_convs import random_conv
from tflm_sparsesep.converters.blob.format import ValueType
from tflm_sparsesep.converters.blob.layouts import LAYOUTS
from tflm_sparsesep.converters.blob.pack import pack
from tflm_sparsesep.converters.blob.pack_depthwise import pack_depthwise
from tflm_sparsesep.converters.blob.pack_separable import pack as pack_separable
from tflm_sparsesep.converters.blob.pack_sparse_conv import ConvWindow
from tflm_sparsesep.converters.blob.separable_format import Order
from tflm_sparsesep.device.synthetic_depthwise import random_depthwise
from tflm_sparsesep.device.synthetic_separable import (
    SeparableShape,
    random_float_separable,
    random_separable,
)

_FLAGS = ("-std=gnu11", "-g", "-O1", "-DSPARSESEP_LIBFUZZER", "-fno-sanitize-recover=all")
_SANITIZERS = "-fsanitize=fuzzer,address,undefined"
_LARGEST_INPUT = 4096
_EXECUTIONS = re.compile(r"stat::number_of_executed_units:\s+(\d+)")


def packed_weights() -> Iterator[bytes]:
    """Yield a blob of each layout, with options."""
    for layout in LAYOUTS:
        case = layout_case(np.random.default_rng(4), layout, 7, 50, zeros=0.7)
        options = case.options.to_bytes()
        yield bytes([len(options)]) + options + pack(case.layer, layout)


def separable_conv() -> Iterator[bytes]:
    """Yield a blob of each order, depthwise convolutions, and a block of each int8 layout."""
    rng, shape = np.random.default_rng(4), SeparableShape(6, 6, (3, 4, 5), (3, 2))
    for order in Order:
        yield b"\0" + pack_separable(random_separable(rng, shape), order)
    yield b"\0" + pack_separable(random_float_separable(rng, shape))
    for window in (ConvWindow((3, 3), 5), ConvWindow((5, 2), 3, (2, 1), (1, 2))):
        yield b"\0" + pack_depthwise(random_depthwise(rng, window, multiplier=2))
    for layout in LAYOUTS:
        if layout.value_type is not ValueType.FLOAT32:
            yield b"\0" + random_block(rng, layout).blob


def sparse_conv() -> Iterator[bytes]:
    """Yield a blob of each layout."""
    window = ConvWindow((3, 2), 4, (1, 1), (1, 2))
    for layout in LAYOUTS:
        rng = np.random.default_rng(4)
        conv = random_conv(rng, layout, window=window, units=5, size=(5, 6), zeros=0.6)
        yield b"\0" + conv.blob(layout)


TARGETS = {
    "packed_weights": packed_weights,
    "separable_conv": separable_conv,
    "sparse_conv": sparse_conv,
}


def compiler() -> str:
    """Return a clang that has libFuzzer."""
    found = (shutil.which(name) for name in ("clang-19", "clang-17", "clang-15", "clang"))
    path = next((name for name in found if name), None)
    if path is None:
        sys.exit("no clang: sudo apt install clang libclang-rt-15-dev")
    return path


def build(name: str, folder: Path) -> Path:
    """Compile a target with the op core and all kernels of this machine."""
    root, program = tflm_sparsesep.source_dir(), folder / name
    sources = [
        Path(__file__).with_name(f"fuzz_{name}.c"),
        root / "custom_ops/host/host_port.c",
        *sorted((root / "custom_ops/core").glob("*.c")),
        *sorted((root / "kernels").rglob("*.c")),
    ]
    includes = [f"-I{root / part}" for part in ("kernels", "kernels/include", "custom_ops")]
    command = [compiler(), *_FLAGS, _SANITIZERS, *includes, *map(str, sources), "-lm"]
    subprocess.run([*command, "-o", str(program)], check=True)
    return program


def fuzz(name: str, folder: Path, seconds: int) -> tuple[int, bool]:
    """Return the executions of one target, and whether all were harmless."""
    corpus = folder / f"{name}_corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    for at, seed in enumerate(TARGETS[name]()):
        (corpus / f"seed{at}").write_bytes(seed)
    program = build(name, folder)
    limits = [f"-max_total_time={seconds}", f"-max_len={_LARGEST_INPUT}", "-print_final_stats=1"]
    done = subprocess.run(
        [str(program), *limits, f"-artifact_prefix={folder}/{name}-", str(corpus)],
        capture_output=True,
        text=True,
        errors="replace",
    )
    found = _EXECUTIONS.search(done.stderr)
    if done.returncode != 0 or found is None:
        print(done.stderr[-3000:], file=sys.stderr)
        return 0, False
    return int(found[1]), True


def main() -> int:
    """Fuzz every target; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seconds", type=int, default=60)
    options = parser.parse_args()
    harmless = True
    for name in TARGETS:
        executions, fine = fuzz(name, options.folder, options.seconds)
        harmless &= fine
        print(f"{name}: {executions:,} executions, {'no finding' if fine else 'A FINDING'}")
    return int(not harmless)


if __name__ == "__main__":
    sys.exit(main())
