"""The delegate's sources compile without a warning, by every compiler.

Warnings of gcc follow what it optimizes: it compiles at every level. Those of clang are nearly all
from before that: it compiles without optimization and with most of it, at others in `make soak`.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.sweeps import SOAK

ROOT = Path(__file__).parents[2]
COMPILERS = [name for name in ("gcc", "clang", "clang-15") if shutil.which(name)]
LEVELS = ("-O0", "-O1", "-O2", "-O3", "-Os")
CASES = [
    (compiler, level)
    for compiler in COMPILERS
    for level in (LEVELS if SOAK or compiler == "gcc" else ("-O0", "-O3"))
]
WARNINGS = ["-Wall", "-Wextra", "-Werror", "-Wconversion"]


@pytest.mark.slow
@pytest.mark.sweep
@pytest.mark.parametrize(("compiler", "level"), CASES)
def test_no_warnings(compiler: str, level: str, tmp_path: Path) -> None:
    sources = sorted((ROOT / "custom_ops/litert_delegate").rglob("*.c"))
    folders = ("custom_ops/litert_delegate", "custom_ops", "kernels", "kernels/include")
    done = subprocess.run(
        [
            *(compiler, level, "-std=gnu11", "-fPIC", *WARNINGS, '-DSPARSESEP_VERSION="0"', "-c"),
            *(f"-I{ROOT / folder}" for folder in folders),
            *map(str, sources),
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
