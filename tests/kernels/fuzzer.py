"""Builds and runs the C fuzzers under AddressSanitizer and UndefinedBehaviorSanitizer."""

from __future__ import annotations

import subprocess
from pathlib import Path

import tflm_sparsesep

MUTATIONS = 15_000  # of each blob
_SEED = 5
_FLAGS = ("-std=gnu11", "-g", "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")


def build(name: str, folder: Path) -> Path:
    """Compiles `tests/kernels/<name>.c` with the op core and all kernels into `folder`."""
    root = tflm_sparsesep.source_dir()
    program = folder / name
    sources = [
        Path(__file__).with_name(f"{name}.c"),
        root / "custom_ops/host/host_port.c",
        *sorted((root / "custom_ops/core").glob("*.c")),
        *sorted((root / "kernels").rglob("*.c")),
    ]
    folders = ("kernels", "kernels/include", "custom_ops")
    includes = [f"-I{root / folder}" for folder in folders]
    subprocess.run(["cc", *_FLAGS, *includes, *map(str, sources), "-o", str(program)], check=True)
    return program


def check(program: Path, *files: Path) -> None:
    """Asserts that all mutants of a blob (and its options) are refused or harmless."""
    done = subprocess.run(
        [str(program), *map(str, files), str(MUTATIONS), str(_SEED)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-3000:]
    accepted, refused = (int(word) for word in done.stdout.split()[1::2])
    assert accepted + refused == MUTATIONS
    # Both paths must have been walked: weights may change freely, the header may not.
    assert accepted > MUTATIONS // 20
    assert refused > MUTATIONS // 4
