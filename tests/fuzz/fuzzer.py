"""Builds and runs the C fuzzers under AddressSanitizer and UndefinedBehaviorSanitizer."""

from __future__ import annotations

import functools
import os
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory

import tflm_sparsesep
from tests.support.sweeps import more, seed_of

_MUTATIONS = 15_000  # of each blob
_SEED = 5
_FLAGS = ("-std=gnu11", "-g1", "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
# Freed memory stays poisoned for the next mebibyte, not for the next 256, each page of which would
# be a page fault.
_ENVIRONMENT = {**os.environ, "ASAN_OPTIONS": "quarantine_size_mb=1"}


def build(name: str, folder: Path) -> Path:
    """Compile `<name>.c` of this folder with the op core and all kernels into `folder`."""
    program = folder / name
    source, objects = Path(__file__).with_name(f"{name}.c"), Path(_objects().name).glob("*.o")
    _compile(str(source), *map(str, objects), "-o", str(program))
    return program


@functools.cache
def _objects() -> TemporaryDirectory[str]:
    """Compile op core and kernels once for all fuzzers of a process."""
    root, folder = tflm_sparsesep.source_dir(), TemporaryDirectory()
    sources = [
        root / "custom_ops/host/host_port.c",
        *sorted((root / "custom_ops/core").glob("*.c")),
        *sorted((root / "kernels").rglob("*.c")),
    ]
    _compile("-c", *map(str, sources), cwd=folder.name)
    return folder


def _compile(*arguments: str, cwd: str | None = None) -> None:
    root = tflm_sparsesep.source_dir()
    includes = [f"-I{root / name}" for name in ("kernels", "kernels/include", "custom_ops")]
    subprocess.run(["cc", *_FLAGS, *includes, *arguments], check=True, cwd=cwd)


def check(program: Path, *files: Path) -> None:
    """Assert that all mutants of a blob (and its options) are refused or harmless."""
    mutations, seed = more(_MUTATIONS), seed_of(_SEED)
    done = subprocess.run(
        [str(program), *map(str, files), str(mutations), str(seed)],
        capture_output=True,
        text=True,
        env=_ENVIRONMENT,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    accepted, refused = (int(word) for word in done.stdout.split()[1::2])
    assert accepted + refused == mutations
    # Both paths must have been walked: weights may change freely, the header may not.
    assert accepted > mutations // 20
    assert refused > mutations // 4
