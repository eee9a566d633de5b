"""Coverage-guided fuzzing of the kernels with libFuzzer, ASan and UBSan.

    python tests/fuzz/libfuzzer.py FOLDER --seconds N [--executions M] [--target NAME]
    python tests/fuzz/libfuzzer.py FOLDER --coverage

Builds each target with clang, writes seeds from this project's own packers, and fuzzes each for N
seconds or M executions. FOLDER keeps the corpora, so that the next run goes on where this one
ended, and what libFuzzer prints (NAME.log); a finding is left there, too. Prints the executions;
the exit code is 1 if there was a finding. With --coverage prints the lines of the validators that
the corpora reach; that needs llvm-cov of clang's version.
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import re
import shutil
import struct
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np

import tflm_sparsesep
from tests.fuzz.graph_seeds import graphs
from tests.support.depthwise_layers import DepthwiseCase, random_block
from tests.support.layers import layout_case
from tests.support.pages import page_conv
from tests.support.residuals import each_kind
from tests.support.sparse_convs import random_conv
from tflm_sparsesep.converters.blob.format import ValueType
from tflm_sparsesep.converters.blob.layouts import LAYOUTS
from tflm_sparsesep.converters.blob.pack import pack
from tflm_sparsesep.converters.blob.pack_depthwise import pack_depthwise
from tflm_sparsesep.converters.blob.pack_separable import pack as pack_separable
from tflm_sparsesep.converters.blob.pack_sparse_conv import ConvWindow, with_residual
from tflm_sparsesep.converters.blob.page_weights import page_weights
from tflm_sparsesep.converters.blob.separable_format import Order
from tflm_sparsesep.device.synthetic_depthwise import random_depthwise
from tflm_sparsesep.device.synthetic_separable import (
    SeparableShape,
    random_float_separable,
    random_separable,
)

_FLAGS = ("-std=gnu11", "-g", "-O2", "-DSPARSESEP_LIBFUZZER", "-fno-sanitize-recover=all")
_SANITIZERS = "-fsanitize=fuzzer,address,undefined"
# Comparisons in the loops of kernels take most of the time and decide nothing.
_KERNEL_FLAGS = ("-fno-sanitize-coverage=trace-cmp",)
# Freed memory stays poisoned for the next mebibyte, not for the next 256, which take a page fault
# for each page: five times as many executions.
_ENVIRONMENT = {"ASAN_OPTIONS": "quarantine_size_mb=1"}
_COVERAGE = ("-fprofile-instr-generate", "-fcoverage-mapping")
_LARGEST_INPUT = 2560
# What decides whether a model is taken, and how much memory it gets.
_DECIDING = (
    "kernels/validate/*.c",
    "custom_ops/core/*.c",
    *(
        f"custom_ops/litert_delegate/graph/{name}.c"
        for name in (
            *("is_supported", "supported_*", "infer_shape", "window"),
            *("writers", "read_operation", "create_partition", "plan_partition"),
        )
    ),
)
# Parts of the delegate that a target needs.
_PARTS = {
    "split_rows": ("cpu/split_rows.c",),
    "unpack_tiles": ("opencl/unpack_tiles.c",),
    "delegate": ("delegate*.c", "message.c", "graph/*.c", "cpu/*.c"),
}
_EXECUTIONS = re.compile(r"stat::number_of_executed_units:\s+(\d+)")


def packed_weights() -> Iterator[bytes]:
    """Yield a blob of each layout, with options."""
    for layout in LAYOUTS:
        case = layout_case(np.random.default_rng(4), layout, 7, 50, zeros=0.7)
        options = case.options.to_bytes()
        yield bytes([len(options)]) + options + pack(case.layer, layout)


def separable_conv() -> Iterator[bytes]:
    """Yield a blob of each order, depthwise convolutions, and a block of each layout."""
    rng, shape = np.random.default_rng(4), SeparableShape(6, 6, (3, 4, 5), (3, 2))
    for order in Order:
        yield b"\0" + pack_separable(random_separable(rng, shape), order)
    yield b"\0" + pack_separable(random_float_separable(rng, shape))
    for channels, strides, multiplier in ((5, (2, 1), 2), (8, (1, 1), 1)):
        window = ConvWindow((3, 3), channels, strides)
        layer = random_depthwise(rng, window, multiplier=multiplier)
        yield b"\0" + pack_depthwise(layer)
    case = DepthwiseCase(layer, rng.integers(-128, 128, (1, 5, 5, 8)).astype(np.int8))
    for layout in LAYOUTS:
        if layout.value_type is not ValueType.FLOAT32:
            yield b"\0" + random_block(rng, layout, case=case, units=9).blob


def sparse_conv() -> Iterator[bytes]:
    """Yield a blob of each layout, and of each kind of residual."""
    window = ConvWindow((3, 2), 4, (1, 1), (1, 2))
    for layout in LAYOUTS:
        rng = np.random.default_rng(4)
        conv = random_conv(rng, layout, window=window, units=5, size=(5, 6), zeros=0.6)
        yield b"\0" + conv.blob(layout)
    for residual in each_kind(rng):
        yield b"\0" + with_residual(conv.blob(LAYOUTS[-1]), residual)


def paged_weights() -> Iterator[bytes]:
    """Yield tables and pages of both operators, signed, and in a memory that changes.

    And of each kind of residual.
    """
    for layout in LAYOUTS:
        case = layout_case(np.random.default_rng(4), layout, 13, 101, zeros=0.8)
        blob, options = pack(case.layer, layout), case.options.to_bytes()
        point = case.options.input_zero_point
        table, image = page_weights(blob, page_bytes=3 * len(blob) // 5, input_zero_point=point)
        window = ConvWindow((3, 2), 8, (1, 1), (1, 2))
        rng = np.random.default_rng(4)
        conv = random_conv(rng, layout, window=window, units=13, size=(5, 6), zeros=0.6)
        for paged in ((options, table, image), (b"", *page_conv(conv, layout))):
            for flags in (1, 3):
                yield _pages(flags, *paged)
    table, image = page_conv(conv, layout)
    for residual in each_kind(rng):
        yield _pages(1, b"", with_residual(table, residual), image)


def _pages(flags: int, options: bytes, table: bytes, image: bytes) -> bytes:
    head = struct.pack("<BBH", flags, len(options), len(table))
    return head + options + table + image


def op_options() -> Iterator[bytes]:
    """Yield options for vectors side by side and for windows, with a blob of each layout."""
    for layout in LAYOUTS:
        case = layout_case(np.random.default_rng(4), layout, 7, 30, zeros=0.7)
        for step in (0, 6):
            options = replace(case.options, input_step=step).to_bytes()
            elements = 2 * 6 if step else 2 * 30
            yield bytes([elements, 2, len(options)]) + options + pack(case.layer, layout)


TARGETS = {
    "packed_weights": packed_weights,
    "op_options": op_options,
    "separable_conv": separable_conv,
    "sparse_conv": sparse_conv,
    "paged_weights": paged_weights,
    "split_rows": packed_weights,
    "unpack_tiles": packed_weights,
    "delegate": graphs,
}


def compiler() -> str:
    """Return a clang that has libFuzzer."""
    found = (shutil.which(name) for name in ("clang-19", "clang-17", "clang-15", "clang"))
    path = next((name for name in found if name), None)
    if path is None:
        sys.exit("no clang: sudo apt install clang libclang-rt-15-dev")
    return path


def includes() -> list[str]:
    """Return the options that tell a compiler where headers are."""
    root = tflm_sparsesep.source_dir()
    parts = ("kernels", "kernels/include", "custom_ops", "custom_ops/litert_delegate")
    return [f"-I{root / part}" for part in parts]


def _compile(arguments: list[str], coverage: bool) -> None:
    flags = [*_FLAGS, _SANITIZERS, *(_COVERAGE if coverage else ())]
    subprocess.run([compiler(), *flags, *includes(), *arguments], check=True)


def _object(source: Path, folder: Path, coverage: bool) -> Path:
    """Compile one file into `folder`, unless neither it nor a header has changed since."""
    found = folder / f"{source.stem}.o"
    kernels = tflm_sparsesep.source_dir() / "kernels"
    is_kernel = kernels in source.parents and source.parent.name != "validate"
    flags = _KERNEL_FLAGS if is_kernel else ()
    changed = max(source.stat().st_mtime, _last_header())
    if not found.is_file() or found.stat().st_mtime < changed:
        _compile(["-c", *flags, str(source), "-o", str(found)], coverage)
    return found


@functools.cache
def _last_header() -> float:
    """Return when a header was changed last."""
    root = tflm_sparsesep.source_dir()
    headers = (path for part in ("kernels", "custom_ops") for path in (root / part).rglob("*.h"))
    return max(path.stat().st_mtime for path in headers)


def sources(name: str) -> list[Path]:
    """Return what a target is made of: the op core and all kernels of this machine, and parts."""
    root = tflm_sparsesep.source_dir()
    delegate = root / "custom_ops/litert_delegate"
    return [
        root / "custom_ops/host/host_port.c",
        *sorted((root / "custom_ops/core").glob("*.c")),
        *sorted((root / "kernels").rglob("*.c")),
        *(path for part in _PARTS.get(name, ()) for path in sorted(delegate.glob(part))),
    ]


def build(name: str, folder: Path, *, coverage: bool = False) -> Path:
    """Compile a target into `folder`."""
    program, objects = folder / name, folder / "objects"
    objects.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor() as pool:
        made = list(pool.map(lambda path: _object(path, objects, coverage), sources(name)))
    main = Path(__file__).with_name(f"fuzz_{name}.c")
    _compile([str(main), *map(str, made), "-lm", "-lpthread", "-o", str(program)], coverage)
    return program


def fuzz(name: str, folder: Path, limits: list[str]) -> tuple[int, bool]:
    """Return the executions of one target, and whether all were harmless.

    `limits` are options of libFuzzer; `folder` keeps what it prints, as NAME.log.
    """
    corpus, log = folder / f"{name}_corpus", folder / f"{name}.log"
    corpus.mkdir(parents=True, exist_ok=True)
    for at, seed in enumerate(TARGETS[name]()):
        (corpus / f"seed{at}").write_bytes(seed)
    program = build(name, folder)
    sizes = [f"-max_len={_LARGEST_INPUT}", "-len_control=0"]
    outcome = ["-print_final_stats=1", f"-artifact_prefix={folder}/{name}-"]
    with log.open("w") as printed:
        done = subprocess.run(
            [str(program), *limits, *sizes, *outcome, str(corpus)],
            stderr=printed,
            env={**os.environ, **_ENVIRONMENT},
        )
    text = log.read_text(errors="replace")
    found = _EXECUTIONS.search(text)
    if done.returncode != 0 or found is None:
        print(text[-3000:], file=sys.stderr)
        return 0, False
    return int(found[1]), True


def coverage(folder: Path) -> dict[str, tuple[int, int]]:
    """Return the lines that the kept corpora of all targets reach, and all lines, by file.

    Files are those that decide what is accepted: validators, op core, and graphs of the delegate.
    """
    root, objects, raw = tflm_sparsesep.source_dir(), folder / "coverage", folder / "raw"
    profile, programs = folder / "merged.profdata", []
    for name in TARGETS:
        programs.append(build(name, objects, coverage=True))
        subprocess.run(
            [str(programs[-1]), "-runs=0", str(folder / f"{name}_corpus")],
            check=True,
            capture_output=True,
            env={**os.environ, "LLVM_PROFILE_FILE": str(raw / name)},
        )
    suffix = compiler().rpartition("clang")[2]
    found = map(str, raw.iterdir())
    merge = [f"llvm-profdata{suffix}", "merge", "-sparse", *found, "-o", str(profile)]
    subprocess.run(merge, check=True)
    binaries = [word for program in programs for word in ("-object", str(program))][1:]
    export = [f"llvm-cov{suffix}", "export", "-summary-only", f"-instr-profile={profile}"]
    files = [str(path) for part in _DECIDING for path in sorted(root.glob(part))]
    done = subprocess.run([*export, *binaries, *files], check=True, capture_output=True, text=True)
    lines = {
        entry["filename"]: entry["summary"]["lines"]
        for entry in json.loads(done.stdout)["data"][0]["files"]
    }
    return {
        str(Path(name).relative_to(root)): (entry["covered"], entry["count"])
        for name, entry in lines.items()
    }


def print_coverage(folder: Path) -> None:
    """Print the coverage of each file, and of all."""
    found = coverage(folder)
    found["all"] = sum(c for c, _ in found.values()), sum(n for _, n in found.values())
    for name, (covered, count) in found.items():
        print(f"{covered / count:7.1%} of {count:5} lines  {name}")


def main() -> int:
    """Fuzz every target, or print what their corpora reach; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seconds", type=int, default=0, help="for each target; 0: no limit")
    parser.add_argument("--executions", type=int, default=-1, help="of each target; -1: no limit")
    parser.add_argument("--target", action="append", choices=TARGETS, help="all by default")
    parser.add_argument("--coverage", action="store_true", help="of the corpora; no fuzzing")
    options = parser.parse_args()
    if options.coverage:
        print_coverage(options.folder)
        return 0
    if options.seconds <= 0 and options.executions < 0:
        parser.error("without an end: give --seconds or --executions")
    limits = [f"-max_total_time={options.seconds}", f"-runs={options.executions}"]
    harmless = True
    for name in options.target or TARGETS:
        executions, fine = fuzz(name, options.folder, limits)
        harmless &= fine
        verdict = "no finding" if fine else "A FINDING"
        print(f"{name}: {executions:,} executions, {verdict}", flush=True)
    return int(not harmless)


if __name__ == "__main__":
    sys.exit(main())
