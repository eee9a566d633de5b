"""The delegate's sources compile without a warning, by every compiler, at every level."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
COMPILERS = [name for name in ("gcc", "clang", "clang-15") if shutil.which(name)]
WARNINGS = ["-Wall", "-Wextra", "-Werror", "-Wconversion"]


@pytest.mark.slow
@pytest.mark.parametrize("level", ["-O0", "-O1", "-O2", "-O3", "-Os"])
@pytest.mark.parametrize("compiler", COMPILERS)
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
