"""The compiler's own binutils, wherever PATH finds the compiler."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import pytest

from tests.support.device_tools import needs_arm_compiler
from tflm_sparsesep.converters.errors import ToolMissingError
from tflm_sparsesep.device import build_cache, toolchain
from tflm_sparsesep.sources import source_dir

COMPILER = "arm-none-eabi-gcc"
KERNEL = "1x1_u16_int8_v7m"


def script(path: Path, text: str) -> None:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


@needs_arm_compiler
@pytest.mark.parametrize("kind", ["link", "wrapper"])
def test_a_folder_with_nothing_but_the_compiler_comes_first(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Like that of ccache, which Debian and Ubuntu advise to put in front of PATH."""
    real = shutil.which(COMPILER)
    assert real is not None
    if kind == "link":
        (tmp_path / COMPILER).symlink_to(real)
    else:
        script(tmp_path / COMPILER, f'exec {real} "$@"')
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    assert toolchain.require_tool(COMPILER).path == tmp_path / COMPILER
    monkeypatch.setenv(build_cache.CACHE_VARIABLE, str(tmp_path / "cache"))
    kernel = source_dir() / "kernels/sparse_fully_connected/v7m" / f"fully_connected_{KERNEL}.c"
    core = toolchain._core_of("cortex-m3", "-O1", ())
    archive = toolchain._build_archive(dataclasses.replace(core, paths=[kernel]))
    assert toolchain.kernel_text_bytes(archive, KERNEL) > 100


def test_binutils_that_are_missing_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # gcc prints the bare name of what it does not know.
    script(tmp_path / COMPILER, "echo size")
    monkeypatch.setenv("PATH", str(tmp_path))
    message = r"arm-none-eabi-gcc has no size, and arm-none-eabi-size was not found on PATH; .*apt"
    with pytest.raises(ToolMissingError, match=message):
        toolchain._binary_tool("size")
